package servertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"comet/gateway/auth"
)

// Secrets of the tests' nodes.
const (
	JWTSecret  = "jwt-secret-0123456789abcdef0123456789abcdef"
	BackendKey = "backend-key-0123456789abcdef0123456789abcdef"
	AdminToken = "admin-token-0123456789abcdef0123456789abcdef"
)

// GuardedFlags are flags of a node that accepts tokens signed with JWTSecret and
// the key BackendKey, and nothing without a credential; then more.
func GuardedFlags(t testing.TB, more ...string) []string {
	t.Helper()
	return append([]string{
		"--auth-jwt-algorithms", "HS256", "--auth-jwt-secret-file", NewFile(t, JWTSecret+"\n"),
		"--auth-keys-file", NewFile(t, "backend:"+BackendKey+"\n"), "--auth-jwt-leeway", "5s",
	}, more...)
}

// Token makes a user's token for all channels, issued some time from now.
func Token(t testing.TB, user string, issued time.Duration) string {
	t.Helper()
	all, err := auth.ParsePatterns([]string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.Sign(&auth.Claims{
		Subject: user, IssuedAt: time.Now().Add(issued), Expires: time.Now().Add(time.Hour),
		Permissions: auth.Permissions{Subscribe: all, Publish: all},
	}, "HS256", []byte(JWTSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Bearer is the header field of a credential, for Ask.
func Bearer(credential string) []string { return []string{"Authorization", "Bearer " + credential} }

// NewCertificate makes a certificate for 127.0.0.1 that is signed by itself, and
// its key, both PEM.
func NewCertificate(t testing.TB, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}
