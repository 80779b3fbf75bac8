package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"comet/gateway"
	"comet/gateway/auth"
	"comet/gateway/limit"
	"comet/pubsub/membroker"
)

// An address that is over its rate is refused before its token is verified, and
// the fast path verifies none. A token that is known costs its address nothing if
// its user is over the rate.
func TestRateBeforeSignature(t *testing.T) {
	t.Parallel()
	var access *auth.Authenticator
	c := overMemory(t, setup{access: func() gateway.Options {
		o := guarded(t)()
		access = o.Policy.Auth
		o.Policy.Limiter = limit.New(limit.Options{
			AddressRequests: limit.Rate{PerSecond: 0.001, Burst: 4}, UserRequests: limit.Rate{PerSecond: 0.001, Burst: 1},
		})
		return o
	}})
	verified := func(token string) bool {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		_, known, _ := access.Known(r)
		return known
	}
	poll := func(token string, status int, limit string) {
		t.Helper()
		a := c.send(get("/v1/poll?channel=c&wait=10ms", bearer(token)...))
		if a.status != status || limit != "" && !strings.Contains(a.body, limit) {
			t.Errorf("got %d %s, want %d %s", a.status, a.body, status, limit)
		}
	}
	alice, bob, carol := token(t, nil), token(t, map[string]any{"sub": "bob"}), token(t, map[string]any{"sub": "carol"})
	poll(alice, http.StatusOK, "")
	if !verified(alice) || c.nodes[0].atDoor.Load() > 0 {
		t.Error("a token was verified on the fast path")
	}
	for range 5 {
		poll(alice, http.StatusTooManyRequests, "limits.user_requests")
	}
	poll(bob, http.StatusOK, "")
	poll("a.b.c", http.StatusUnauthorized, "")
	poll("a.b.c", http.StatusUnauthorized, "")
	for range 3 {
		poll(carol, http.StatusTooManyRequests, "limits.address_requests")
		if verified(carol) {
			t.Fatal("the signature was verified before the rate was asked")
		}
	}
}

// BenchmarkRefused is the CPU that a refused request costs, from the header that
// was read to the answer that is to be written.
func BenchmarkRefused(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		b.Fatal(err)
	}
	public := filepath.Join(b.TempDir(), "public.pem")
	if err := os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		b.Fatal(err)
	}
	forger, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	bad := sign(b, jwt.SigningMethodES512, forger, claims(nil))
	for name, test := range map[string]struct {
		rate   float64 // requests per second of the address; 0: no limit
		token  string
		status int
	}{
		"over the rate, wrong ES512 signature": {0.001, bad, http.StatusTooManyRequests},
		"wrong ES512 signature, again":         {0, bad, http.StatusUnauthorized},
		"malformed":                            {0, "a.b.c", http.StatusUnauthorized},
		"no credential":                        {0, "", http.StatusUnauthorized},
	} {
		b.Run(name, func(b *testing.B) {
			tokens, err := auth.NewTokens(auth.TokenOptions{Algorithms: []string{"ES512"}, PublicKeyFiles: []string{public}})
			if err != nil {
				b.Fatal(err)
			}
			a, err := auth.New(auth.Options{Tokens: tokens})
			if err != nil {
				b.Fatal(err)
			}
			hub := newHub(b, membroker.New(membroker.Options{Size: 5}).Node())
			g, err := gateway.New(gateway.Options{Hub: hub, Node: "n", Policy: gateway.Policy{
				Auth: a, Credentials: true, Limiter: limit.New(limit.Options{AddressRequests: limit.Rate{PerSecond: test.rate, Burst: 1}}),
			}})
			if err != nil {
				b.Fatal(err)
			}
			send := func() int {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodGet, "/v1/events?channel=c", nil)
				if test.token != "" {
					r.Header.Set("Authorization", "Bearer "+test.token)
				}
				g.ServeHTTP(w, r)
				return w.Code
			}
			send() // takes the one request of the rate
			b.ReportAllocs()
			for b.Loop() {
				if status := send(); status != test.status {
					b.Fatal(status)
				}
			}
		})
	}
}
