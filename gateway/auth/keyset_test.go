package auth

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/MicahParks/jwkset"
)

func TestParseKeySet(t *testing.T) {
	var all []jwkset.JWKMarshal
	for name, p := range pairs() {
		all = append(all, marshalKey(t, p.private.Public(), name, ""))
	}
	all = append(all,
		marshalKey(t, pairs()["rsa"].private.Public(), "encryption", jwkset.UseEnc),
		marshalKey(t, pairs()["ed"].private, "private", ""))
	text, err := json.Marshal(jwkset.JWKSMarshal{Keys: all})
	if err != nil {
		t.Fatal(err)
	}
	found, skipped, err := parseKeySet(text)
	if err != nil || len(found) != len(pairs()) {
		t.Errorf("%d keys, %v, want %d", len(found), err, len(pairs()))
	}
	if len(skipped) != 2 || skipped[0].id != "encryption" || !skipped[0].expected || skipped[1].id != "private" || skipped[1].expected {
		t.Errorf("skipped: %v", skipped)
	}
}

// jwk is the public key of p as an issuer publishes it, with some other members.
func jwk(t testing.TB, p pair, more map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(marshalKey(t, p.private.Public(), "1", jwkset.UseSig))
	members := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range more {
		members[name] = value
	}
	return members
}

// certificate is one for p's key, in standard base64 as x5c has it.
func certificate(t testing.TB, serial int64, p pair) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, p.private.Public(), p.private)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// A good key is taken whatever stands beside it, and with its own kid.
func TestOddKeysAreTaken(t *testing.T) {
	for name, p := range pairs() {
		if name == "p384" || name == "p521" {
			continue // as p256
		}
		good := jwk(t, p, nil)
		coordinate := map[string]string{"rsa": "n", "p256": "y", "ed": "x"}[name]
		value := good[coordinate].(string)
		bytes, err := base64.RawURLEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		for what, more := range map[string]map[string]any{
			"a certificate":                {"x5c": []string{certificate(t, 5, p)}},
			"a certificate of another key": {"x5c": []string{certificate(t, 5, pairs()["p384"])}},
			"x5c is no certificate":        {"x5c": []string{"AAAA"}},
			"x5c is no list":               {"x5c": "AAAA"},
			"x5c is empty":                 {"x5c": []string{}},
			"x5t in hexadecimal":           {"x5t": hex.EncodeToString(make([]byte, 20))},
			"x5t with padding":             {"x5t": base64.StdEncoding.EncodeToString(make([]byte, 20)), "x5t#S256": "="},
			"x5t is a number":              {"x5t": 5},
			"x5u is no URL":                {"x5u": "http://exa mple/%zz"},
			"x5u is an object":             {"x5u": map[string]any{}},
			"padding":                      {coordinate: base64.URLEncoding.EncodeToString(bytes)},
			"standard base64":              {coordinate: base64.StdEncoding.EncodeToString(bytes)},
			"members of other kinds":       {"exp": "2027-01-01", "nbf": 0, "k": nil, "oth": 7, "key_ops": "verify"},
		} {
			text, err := json.Marshal(map[string]any{"keys": []any{jwk(t, p, more)}})
			if err != nil {
				t.Fatal(err)
			}
			found, _, err := parseKeySet(append([]byte("\xef\xbb\xbf"), text...))
			if err != nil || len(found) != 1 || found[0].id != "1" {
				t.Errorf("%s, %s: %d keys, %v", name, what, len(found), err)
				continue
			}
			if same, ok := found[0].key.(interface{ Equal(crypto.PublicKey) bool }); !ok || !same.Equal(p.private.Public()) {
				t.Errorf("%s, %s: another key", name, what)
			}
		}
	}
}

// A bad key costs no other its place, and says what is wrong with it.
func TestBadKeysAreSkipped(t *testing.T) {
	good := jwk(t, pairs()["rsa"], nil)
	for what, test := range map[string]struct {
		key    any
		reason string
	}{
		"text":             {"text", "not a JSON object"},
		"null":             {nil, "not a JSON object"},
		"another kind":     {map[string]any{"kty": "AKP", "alg": "ML-DSA-44"}, "its kind"},
		"another curve":    {map[string]any{"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"}, "cannot be parsed"},
		"for agreement":    {map[string]any{"kty": "OKP", "crv": "X25519", "x": "AAAA"}, "its kind"},
		"private":          {jwk(t, pairs()["rsa"], map[string]any{"d": "AQAB"}), "it is private"},
		"alg is a number":  {jwk(t, pairs()["rsa"], map[string]any{"alg": 5}), "alg"},
		"without n":        {map[string]any{"kty": "RSA", "kid": strings.Repeat("k", 1000), "e": "AQAB"}, "cannot be parsed"},
		"short":            {map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAB"}, "2048 bits"},
		"not on the curve": {jwk(t, pairs()["p256"], map[string]any{"x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}), "cannot be parsed"},
	} {
		text, err := json.Marshal(map[string]any{"keys": []any{test.key, good}})
		if err != nil {
			t.Fatal(err)
		}
		found, skipped, err := parseKeySet(text)
		if err != nil || len(found) != 1 || len(skipped) != 1 || !strings.Contains(skipped[0].reason, test.reason) || len(skipped[0].id) > maxLoggedID {
			t.Errorf("%s: %d keys, skipped %v, %v", what, len(found), skipped, err)
		}
	}
	if _, _, err := parseKeySet([]byte("[]")); err != errNoKeySet {
		t.Errorf("a list: %v", err)
	}
}

// A kid that is not a string counts as absent: the key serves tokens of any.
func TestKidIsANumber(t *testing.T) {
	text, err := json.Marshal(map[string]any{"keys": []any{jwk(t, pairs()["rsa"], map[string]any{"kid": 5})}})
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := parseKeySet(text)
	if err != nil || len(found) != 1 || found[0].id != "" {
		t.Errorf("%v, %v", found, err)
	}
}
