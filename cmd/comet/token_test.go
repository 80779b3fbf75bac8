package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"

	"comet/config"
	"comet/gateway/auth"
	"comet/internal/servertest"
)

const tokenSecret = "a-secret-of-tokens-that-is-long-enough"

func TestToken(t *testing.T) {
	t.Parallel()
	secret := servertest.NewFile(t, tokenSecret+"\n")
	token := createdToken(t, "--sub", "alice", "--subscribe", "chat/**", "--subscribe", "news", "--publish", "chat/*",
		"--ttl", "2h", "--iss", "login", "--aud", "comet", "--info", `{ "name": "Alice" }`, "--secret-file", secret)
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitOK, "is valid if its signature is. The signature was not checked"},
		{[]string{"--secret-file", secret}, exitOK, "The token is valid.\n"},
		{[]string{"--secret-file", secret, "--iss", "login", "--aud", "comet", "--alg", "HS256,HS512"}, exitOK, "The token is valid.\n"},
		{[]string{"--secret-file", servertest.NewFile(t, "another-"+tokenSecret), "--secret-file", secret}, exitOK, "The token is valid.\n"},
		{[]string{"--secret-file", servertest.NewFile(t, "another-"+tokenSecret)}, exitFailure, "invalid token: bad-signature: "},
		{[]string{"--secret-file", secret, "--alg", "HS512"}, exitFailure, "invalid token: wrong-algorithm: "},
		{[]string{"--secret-file", secret, "--iss", "other"}, exitFailure, "invalid token: wrong-issuer: "},
		{[]string{"--aud", "other"}, exitFailure, "invalid token: wrong-audience: "},
		{[]string{"--secret-file", "gone"}, exitFailure, "--secret-file: "},
		{[]string{"--jwks-url", "http://keys.example/", "--alg", "RS256"}, exitFailure, "the JWKS URL must be https://"},
	} {
		code, out, errOut := runHere(t, append([]string{"token", "inspect", token}, test.args...)...)
		if code != test.code || !strings.Contains(out+errOut, test.want) {
			t.Errorf("%v: exit code %d, output\n%s%s\nwant %d, %s", test.args, code, out, errOut, test.code, test.want)
		}
		if strings.Contains(out+errOut, token) || strings.Contains(out+errOut, tokenSecret) {
			t.Errorf("%v: a secret is shown:\n%s%s", test.args, out, errOut)
		}
		for _, row := range []string{
			`alg +HS256`, `sub +alice`, `iss +login`, `aud +comet`, `iat +\S+Z, \w+ ago|iat +\S+Z, in 0s`, `exp +\S+Z, in (2h0m0s|1h\w+)`,
			`subscribe +chat/\*\*, news`, `publish +chat/\*`, `presence +chat/\*\*, news \(as subscribe\)`, `history +chat/\*\*, news \(as subscribe\)`, `info +\{"name":"Alice"\}`,
		} {
			if !regexp.MustCompile(`(?m)^(` + row + `)$`).MatchString(out) {
				t.Errorf("%v: no line %s in\n%s", test.args, row, out)
			}
		}
	}
}

func createdToken(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errOut := runHere(t, append([]string{"token", "create"}, args...)...)
	if code != exitOK || errOut != "" || strings.Count(out, ".") != 2 {
		t.Fatalf("exit code %d, output %q, error output %q", code, out, errOut)
	}
	return strings.TrimSpace(out)
}

func TestTokenExpired(t *testing.T) {
	t.Parallel()
	claims := &auth.Claims{Subject: "alice", IssuedAt: time.Now().Add(-time.Hour), Expires: time.Now().Add(-time.Minute)}
	token, err := auth.Sign(claims, "", []byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"--secret-file", servertest.NewFile(t, tokenSecret)}} {
		code, out, errOut := runHere(t, append([]string{"token", "inspect", token}, args...)...)
		if code != exitFailure || !strings.Contains(out, " ago\nsubscribe") || !strings.Contains(errOut, "invalid token: expired: ") {
			t.Errorf("%v: exit code %d, output\n%s%s", args, code, out, errOut)
		}
	}
}

// TestTokenVariable has the secret in the environment and the token in a pipe.
func TestTokenVariable(t *testing.T) {
	t.Parallel()
	environ := []string{secretVariable + "=" + tokenSecret}
	made := setup{environ: environ}.runToEnd(t, "token", "create", "--sub", "alice")
	made.wantExit(exitOK)
	seen := setup{environ: environ, in: strings.NewReader(made.out.String())}.runToEnd(t, "token", "inspect", "-")
	seen.wantExit(exitOK)
	seen.awaitOut(`The token is valid\.`)
	none := setup{in: strings.NewReader("")}.runToEnd(t, "token", "inspect", "-")
	none.wantExit(exitFailure)
	none.wantErrOut(1, `no token on standard input`)
}

// TestTokenKey signs with a private key and verifies with the public one, from
// a file and from a URL.
func TestTokenKey(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err1 := x509.MarshalPKCS8PrivateKey(private)
	publicDER, err2 := x509.MarshalPKIXPublicKey(public)
	jwk, err3 := jwkset.NewJWKFromKey(public, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "1", ALG: jwkset.AlgEdDSA}})
	set, err4 := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{jwk.Marshal()}})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	asPEM := func(kind string, der []byte) string {
		return servertest.NewFile(t, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(set) // a client that has gone
	}))
	t.Cleanup(server.Close)

	token := createdToken(t, "--sub", "eve", "--key-file", asPEM("PRIVATE KEY", privateDER))
	for _, args := range [][]string{
		{"--public-key-file", asPEM("PUBLIC KEY", publicDER), "--alg", "EdDSA"},
		{"--jwks-url", server.URL, "--alg", "EdDSA"},
	} {
		p := runToEnd(t, append([]string{"token", "inspect", token}, args...)...)
		p.wantExit(exitOK)
		p.awaitOut(`The token is valid\.`)
	}
}

func TestTokenMistakes(t *testing.T) {
	t.Parallel()
	secret := servertest.NewFile(t, tokenSecret)
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"create"}, exitUsage, "--sub is missing"},
		{[]string{"create", "--sub", "a"}, exitUsage, "nothing to sign with: give --secret-file or --key-file"},
		{[]string{"create", "--sub", "a", "--ttl", "0s", "--secret-file", secret}, exitUsage, "--ttl must be a second at least"},
		{[]string{"create", "--sub", "a", "--info", "{", "--secret-file", secret}, exitUsage, "--info must be JSON"},
		{[]string{"create", "--sub", "a", "--publish", "a", "--publish", "b**", "--secret-file", secret}, exitUsage, "--publish: item 2 must have **"},
		{[]string{"create", "--sub", "a", "--secret-file", secret, "--key-file", secret}, exitUsage, "exclude each other: give one"},
		{[]string{"create", "--sub", "a", "--secret-file", secret, "--alg", "RS256"}, exitFailure, "it must be one of HS256, HS384, HS512"},
		{[]string{"create", "--sub", "a", "--secret-file", secret, "--alg", "none"}, exitFailure, "it must be one of HS256"},
		{[]string{"create", "--sub", "a", "--secret-file", servertest.NewFile(t, "short")}, exitFailure, "write at least 32 bytes"},
		{[]string{"create", "--sub", "a", "--key-file", secret}, exitFailure, "has no unencrypted PEM private key"},
		{[]string{"create", "--sub", "a", "--key-file", filepath.Join(t.TempDir(), "gone")}, exitFailure, "--key-file: "},
		{[]string{"inspect"}, exitUsage, "accepts 1 arg"},
		{[]string{"inspect", "a.b.c", "--leeway", "-1s"}, exitUsage, "--leeway must not be negative"},
		{[]string{"inspect", "a.b.c"}, exitFailure, "invalid token: malformed: "},
	} {
		code, out, errOut := runHere(t, append([]string{"token"}, test.args...)...)
		if code != test.code || out != "" || !strings.HasPrefix(errOut, "comet: ") || !strings.Contains(errOut, test.want) {
			t.Errorf("%v: exit code %d, output %q, error output %q, want %d, %s", test.args, code, out, errOut, test.code, test.want)
		}
		if strings.Contains(errOut, tokenSecret) {
			t.Errorf("%v: the secret is shown: %s", test.args, errOut)
		}
	}
}

// TestPrintable checks that a foreign token does not control the terminal.
func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"alice": "alice", "größe 1": "größe 1", "\x1b[2J": `"\x1b[2J"`, "a\u202eb": `"a\u202eb"`} {
		if got := printable(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// TestTokenWithoutIssueTime: inspect refuses a token without iat, as nodes do.
func TestTokenWithoutIssueTime(t *testing.T) {
	t.Parallel()
	settings, err := config.Load(config.Source{})
	if err != nil || settings.Auth.JWT.MaxAge != defaultMaxAge {
		t.Errorf("auth.jwt.max_age is %v (%v), want that of token inspect, %v", settings.Auth.JWT.MaxAge, err, defaultMaxAge)
	}
	token, err := auth.Sign(&auth.Claims{Subject: "alice", Expires: time.Now().Add(time.Hour)}, "", []byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	secret := servertest.NewFile(t, tokenSecret)
	for _, args := range [][]string{nil, {"--secret-file", secret}} {
		code, out, errOut := runHere(t, append([]string{"token", "inspect", token}, args...)...)
		if code != exitFailure || !strings.Contains(errOut, "invalid token: malformed: The token has no claim iat") {
			t.Errorf("%v: exit code %d, output\n%s%s", args, code, out, errOut)
		}
	}
	if code, out, errOut := runHere(t, "token", "inspect", token, "--max-age", "0s", "--secret-file", secret); code != exitOK {
		t.Errorf("without a limit: exit code %d, output\n%s%s", code, out, errOut)
	}
}
