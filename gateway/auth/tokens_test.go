package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAlgorithms signs with every algorithm and verifies with every key: only
// one of the algorithm's kind may do.
func TestAlgorithms(t *testing.T) {
	type side struct {
		key     any
		options TokenOptions
	}
	sides := map[string]side{"HS": {[]byte(secretText), TokenOptions{Secrets: [][]byte{[]byte(secretText)}}}}
	for name, p := range pairs() {
		sides[name] = side{p.private, TokenOptions{PublicKeyFiles: []string{p.file(t)}}}
	}
	goes := map[string]string{"HS": "HS", "RS": "rsa", "PS": "rsa", "ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed"}
	for _, algorithm := range Algorithms() {
		fits := goes[algorithm]
		if fits == "" {
			fits = goes[algorithm[:2]]
		}
		token, err := Sign(&Claims{Subject: "alice"}, algorithm, sides[fits].key)
		if err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		for name, s := range sides {
			s.options.Algorithms = []string{algorithm}
			tokens, err := NewTokens(s.options)
			if (err == nil) != (name == fits) {
				t.Errorf("%s with %s: %v", algorithm, name, err)
			}
			if name == fits && err == nil {
				if p, err := tokens.Verify(t.Context(), token); err != nil || p.User != "alice" {
					t.Errorf("%s: got %+v, %v", algorithm, p, err)
				}
			} else if text, err := Sign(&Claims{Subject: "alice"}, algorithm, s.key); err == nil {
				t.Errorf("%s was signed with %s: %s", algorithm, name, text)
			}
		}
	}
}

// A public key is no secret: it must not verify what it signed as one.
func TestConfusion(t *testing.T) {
	rsaKey := pairs()["rsa"]
	pemText := publicPEM(t, rsaKey.private.Public())
	tokens := mustTokens(t, TokenOptions{Algorithms: []string{"RS256"}, PublicKeyFiles: []string{rsaKey.file(t)}})
	for _, secret := range []string{pemText, strings.TrimSpace(pemText), string(rsaKey.private.Public().(*rsa.PublicKey).N.Bytes())} {
		token := sign(t, "HS256", []byte(secret), nil, alice(nil))
		_, err := tokens.Verify(t.Context(), token)
		wantReason(t, err, WrongAlgorithm, token)
	}
	if _, err := NewTokens(TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(pemText)}}); err == nil || !strings.Contains(err.Error(), "is a PEM key") {
		t.Errorf("a public key as a secret: %v", err)
	}
}

func TestRotation(t *testing.T) {
	tokens := mustTokens(t, TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(otherText), []byte(secretText)}})
	for _, secret := range []string{secretText, otherText} {
		if _, err := tokens.Verify(t.Context(), sign(t, "HS256", []byte(secret), nil, alice(nil))); err != nil {
			t.Error(err)
		}
	}
}

func TestPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := mustTokens(t, TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(secretText)}, Leeway: time.Second, Grace: time.Minute})
		exp := time.Now().Add(time.Hour).Truncate(time.Second)
		token := hs256(t, alice(map[string]any{"exp": exp.Unix(), "iat": time.Now().Unix(), "comet": json.RawMessage("{\"subscribe\":[\"a\"],\"info\":{ \"x\":\n1}}")}))
		p, err := tokens.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if p.User != "alice" || p.Key != "" || p.Credential() != Token || string(p.Info) != `{"x":1}` || !p.IssuedAt.Equal(time.Now().Truncate(time.Second)) {
			t.Errorf("got %+v", p)
		}
		if !p.Expires.Equal(exp) || !p.Ends.Equal(exp.Add(time.Minute)) {
			t.Errorf("expires %v, ends %v, want %v and a minute later", p.Expires, p.Ends, exp)
		}
		if again, err := tokens.Verify(t.Context(), token); again != p || err != nil {
			t.Errorf("not from the cache: %v, %v", again, err)
		}
		time.Sleep(time.Until(exp.Add(time.Second)))
		_, err = tokens.Verify(t.Context(), token)
		wantReason(t, err, Expired, token)
	})
}

// Info may be put into a line of a stream.
func TestInfoIsOneLine(t *testing.T) {
	var c Claims
	if err := json.Unmarshal([]byte("{\"comet\": {\"info\": { \"x\":\n[1,\r\n2] }}}"), &c); err != nil || string(c.Info) != `{"x":[1,2]}` {
		t.Errorf("got %s, %v", c.Info, err)
	}
}

func TestWrongTokenOptions(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	secret := [][]byte{[]byte(secretText)}
	public := pairs()["rsa"].file(t)
	for want, o := range map[string]TokenOptions{
		"no algorithm is set":                   {Secrets: secret},
		`unknown algorithm "none"`:              {Algorithms: []string{"none"}, Secrets: secret},
		`unknown algorithm "hs256"`:             {Algorithms: []string{"hs256"}, Secrets: secret},
		"HS256 needs a secret":                  {Algorithms: []string{"HS256"}, JWKSURL: "https://x/"},
		"ES256 needs a public key":              {Algorithms: []string{"ES256", "RS256"}, PublicKeyFiles: []string{public}},
		"a secret has no effect":                {Algorithms: []string{"RS256"}, Secrets: secret, PublicKeyFiles: []string{public}},
		"secret 2 is too short":                 {Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(secretText), []byte(secretText[:31])}},
		"it has a private key":                  {Algorithms: []string{"RS256"}, PublicKeyFiles: []string{writeFile(t, privatePEM(t, pairs()["rsa"].private))}},
		"has no PEM public key":                 {Algorithms: []string{"RS256"}, PublicKeyFiles: []string{writeFile(t, "x")}},
		"its public key cannot be parsed":       {Algorithms: []string{"RS256"}, PublicKeyFiles: []string{writeFile(t, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")}},
		"an RSA key needs at least 2048 bits":   {Algorithms: []string{"RS256"}, PublicKeyFiles: []string{writeFile(t, publicPEM(t, &small.PublicKey))}},
		"must not be negative":                  {Algorithms: []string{"HS256"}, Secrets: secret, Leeway: -1},
		"no such file":                          {Algorithms: []string{"RS256"}, PublicKeyFiles: []string{"gone"}},
		"the JWKS URL must be https://":         {Algorithms: []string{"RS256"}, JWKSURL: "http://keys.example/"},
		"the JWKS URL must be https://… or not": {Algorithms: []string{"RS256"}, JWKSURL: "keys.json"},
	} {
		want, _, _ = strings.Cut(want, "…")
		tokens, err := NewTokens(o)
		if err == nil || tokens != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
			continue
		}
		wantSilent(t, err.Error())
	}
}

func TestSignRefuses(t *testing.T) {
	alice := &Claims{Subject: "alice"}
	for want, test := range map[string]struct {
		claims    *Claims
		algorithm string
		key       any
	}{
		"no claim sub":              {&Claims{}, "", []byte(secretText)},
		"the secret is too short":   {alice, "", []byte(secretText[:31])},
		"a secret or a private key": {alice, "", nil},
		"it must be one of HS256":   {alice, "none", []byte(secretText)},
		"it must be one of RS256":   {alice, "HS256", pairs()["rsa"].private},
		"it must be one of ES384":   {alice, "ES256", pairs()["p384"].private},
		"it must be one of EdDSA":   {alice, "RS256", pairs()["ed"].private},
	} {
		token, err := Sign(test.claims, test.algorithm, test.key)
		if token != "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, %v, want %s", token, err, want)
			continue
		}
		wantSilent(t, err.Error(), secretText[:31])
	}
}

func TestPeek(t *testing.T) {
	for _, token := range []string{hs256(t, alice(nil)), unsigned(t, "none", alice(nil)), unsigned(t, "XS256", alice(nil))} {
		header, claims, err := Peek(token)
		if err != nil || header["alg"] == "" || claims.Subject != "alice" {
			t.Errorf("got %v, %+v, %v", header, claims, err)
		}
	}
	for _, token := range []string{"", "a.b.c", unsigned(t, "HS256", alice(map[string]any{"sub": 1})), "bnVsbA.bnVsbA."} {
		_, _, err := Peek(token)
		wantReason(t, err, Malformed, token)
	}
}
