package gateway_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"comet/gateway"
	"comet/gateway/auth"
)

// access makes one node's options of who may do what, and nothing else.
type access func() gateway.Options

const (
	secretText = "an-hmac-secret-of-thirty-two-bytes-and-more"
	otherText  = "another-hmac-secret-that-no-node-was-told"
	keyText    = "backend-key-0123456789abcdef0123456789abcdef"
	readerText = "reader-key-0123456789abcdef0123456789abcdef0"
	cookieName = "session"
	pagesAt    = "https://app.example" // whose pages may use the cookie
	leeway     = 5 * time.Second
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func publicPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// guarded is nodes that take tokens, keys and a cookie, and let nobody else do
// anything.
func guarded(t testing.TB) access {
	t.Helper()
	public := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(public, publicPEM(t), 0o600); err != nil {
		t.Fatal(err)
	}
	all := patterns([]string{"**"})
	return func() gateway.Options {
		tokens, err := auth.NewTokens(auth.TokenOptions{
			Algorithms: []string{"HS256", "RS256"}, Secrets: [][]byte{[]byte(secretText)}, PublicKeyFiles: []string{public},
			Issuer: "issuer", Audience: "comet", MaxAge: time.Hour, Leeway: leeway,
		})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := auth.NewKeys(auth.KeyOptions{
			Secrets: []string{"backend:" + keyText, "reader:" + readerText},
			Permissions: map[string]auth.Permissions{
				"backend": {Subscribe: all, Publish: all},
				"reader":  {Subscribe: patterns([]string{"other"})},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		revocations := auth.NewRevocations(time.Hour, 1000)
		a, err := auth.New(auth.Options{Tokens: tokens, Keys: keys, Cookie: cookieName, Origins: []string{pagesAt}, Revocations: revocations})
		if err != nil {
			t.Fatal(err)
		}
		return gateway.Options{Policy: gateway.Policy{Auth: a, Leeway: leeway, Credentials: true}, Revocations: revocations}
	}
}

// claims are alice's, which let her do everything in channel c; more are put
// over them, and a nil takes one away.
func claims(more map[string]any) jwt.MapClaims {
	all := jwt.MapClaims{
		"sub": "alice", "iss": "issuer", "aud": "comet",
		"iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"comet": map[string]any{"subscribe": []string{"c", "d"}, "publish": []string{"c"}},
	}
	maps.Copy(all, more)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// token is alice's, or whose more says.
func token(t testing.TB, more map[string]any) string {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, []byte(secretText), claims(more))
}

func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// bearer is the header for a token or key.
func bearer(text string) []string { return []string{"Authorization", "Bearer " + text} }
