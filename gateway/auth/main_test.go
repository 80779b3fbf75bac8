package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secretText = "an-hmac-secret-that-no-error-may-show"
	otherText  = "another-hmac-secret-of-enough-characters"
	keyText    = "0123456789abcdef-a-key-no-error-may-show"
)

// pair is a private key and its public one in a file.
type pair struct {
	private crypto.Signer
	file    func(t testing.TB) string
}

// pairs is one of each kind; RSA keys take long to make.
var pairs = sync.OnceValue(func() map[string]pair {
	rsaKey, err1 := rsa.GenerateKey(rand.Reader, 2048)
	p256, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err3 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p521, err4 := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, ed, err5 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		panic(err)
	}
	all := map[string]pair{}
	for name, key := range map[string]crypto.Signer{"rsa": rsaKey, "p256": p256, "p384": p384, "p521": p521, "ed": ed} {
		all[name] = pair{key, func(t testing.TB) string { return writeFile(t, publicPEM(t, key.Public())) }}
	}
	return all
})

func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func privatePEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// writeFile is the path of a new file with that content.
func writeFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustPatterns(t testing.TB, texts ...string) Patterns {
	t.Helper()
	ps, err := ParsePatterns(texts)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func mustTokens(t testing.TB, o TokenOptions) *Tokens {
	t.Helper()
	tokens, err := NewTokens(o)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// sign makes a token of any claims, also of those that Sign refuses.
func sign(t testing.TB, algorithm string, key any, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), jwt.MapClaims(claims))
	for name, value := range header {
		token.Header[name] = value
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// alice is claims that are in order, with some more or other ones.
func alice(more map[string]any) map[string]any {
	claims := map[string]any{
		"sub": "alice", "iss": "issuer", "aud": "comet", "exp": time.Now().Add(time.Hour).Unix(),
		"comet": map[string]any{"subscribe": []string{"chat/**"}, "info": map[string]any{"name": "Alice"}},
	}
	for name, value := range more {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	return claims
}

func hs256(t testing.TB, claims map[string]any) string {
	t.Helper()
	return sign(t, "HS256", []byte(secretText), nil, claims)
}

// request has that header Authorization, if any.
func request(method, target, authorization string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// wantReason checks why something was refused, and that the error shows nothing
// of the credentials.
func wantReason(t testing.TB, err error, want Reason, credentials ...string) {
	t.Helper()
	refused, ok := errors.AsType[*Error](err)
	if want == "" {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	if !ok || refused.Reason != want {
		t.Errorf("got %v, want reason %s", err, want)
		return
	}
	wantSilent(t, err.Error(), credentials...)
	if !strings.HasSuffix(refused.Detail, ".") || !strings.Contains(refused.Detail, " ") {
		t.Errorf("%q is no sentence", refused.Detail)
	}
}

// wantSilent looks for secrets, and for parts of them, in a text.
func wantSilent(t testing.TB, text string, secrets ...string) {
	t.Helper()
	for _, secret := range append(secrets, secretText, otherText, keyText) {
		for part := range strings.FieldsFuncSeq(secret, func(r rune) bool { return strings.ContainsRune(".:= ", r) }) {
			if len(part) >= 8 && part != "Bearer" && strings.Contains(text, part) {
				t.Errorf("%q shows %q", text, part)
			}
		}
	}
}

// unsigned is a token without a signature.
func unsigned(t testing.TB, algorithm any, claims map[string]any) string {
	t.Helper()
	header, err1 := json.Marshal(map[string]any{"alg": algorithm, "typ": "JWT"})
	body, err2 := json.Marshal(claims)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode(header) + "." + encode(body) + "."
}
