package auth

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/MicahParks/jwkset"

	"comet/internal/textfile"
)

// keySet holds the keys of one answer of the URL. It never changes, and is replaced
// only when the answer changes.
type keySet struct {
	text      []byte
	verifiers []*verifier
}

// all returns the keys. s may be nil.
func (s *keySet) all() []*verifier {
	if s == nil {
		return nil
	}
	return s.verifiers
}

// skippedKey is a key of a set that cannot verify tokens.
type skippedKey struct {
	id       string // its kid, cut to maxLoggedID; may be empty
	reason   string
	expected bool // the key is valid, for another use
}

// maxLoggedID bounds a kid in a log line, in bytes.
const maxLoggedID = 100

var errNoKeySet = errors.New("the answer is not a JWK set: JSON as {\"keys\": […]}")

// parseKeySet returns the public keys for signatures of a JWK set (RFC 7517). It skips
// the others, each with a reason. It is an error if no key is found.
func parseKeySet(text []byte) (found []*verifier, skipped []skippedKey, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(textfile.TrimMark(text), &set) != nil {
		return nil, nil, errNoKeySet
	}
	for _, raw := range set.Keys {
		v, skip := parseKey(raw)
		if skip != nil {
			skipped = append(skipped, *skip)
			continue
		}
		found = append(found, v)
	}
	if len(found) == 0 {
		return nil, skipped, errors.New("the answer has no usable public key for signatures: RSA of 2048 bits, P-256, P-384, P-521 or Ed25519")
	}
	return found, skipped, nil
}

// parseKey returns the verifier of one JWK, or why the key is skipped.
func parseKey(raw json.RawMessage) (*verifier, *skippedKey) {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil || all == nil {
		return nil, &skippedKey{reason: "it is not a JSON object"}
	}
	text := func(member string) (value string) {
		_ = json.Unmarshal(all[member], &value) // absent, or not a string: empty
		return value
	}
	id, kind, use := text("kid"), text("kty"), text("use")
	skip := func(reason string, expected bool) (*verifier, *skippedKey) {
		return nil, &skippedKey{id[:min(len(id), maxLoggedID)], reason, expected}
	}
	switch {
	case use != "" && use != "sig":
		return skip("its use is not sig", true)
	case kind != "RSA" && kind != "EC" && kind != "OKP" || kind == "OKP" && text("crv") != "Ed25519":
		return skip("its kind is not RSA, EC or Ed25519", true)
	case all["d"] != nil:
		return skip("it is private, and everyone can read it: replace the key", false)
	case all["alg"] != nil && text("alg") == "":
		return skip("its alg is not a string", false)
	}
	plain := func(member string) string { return plainBase64.Replace(text(member)) }
	// Members of certificates (x5c, x5t, x5u) are left out: they are not used
	// here, and an invalid one must not cost the key.
	material := jwkset.JWKMarshal{KTY: jwkset.KTY(kind), CRV: jwkset.CRV(text("crv")), N: plain("n"), E: plain("e"), X: plain("x"), Y: plain("y")}
	k, err := jwkset.NewJWKFromMarshal(material, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return skip("it cannot be parsed: "+err.Error(), false)
	}
	if err := checkPublicKey(k.Key()); err != nil {
		return skip(err.Error(), false)
	}
	return &verifier{id: id, algorithm: text("alg"), key: k.Key()}, nil
}

// plainBase64 converts base64 with padding or of the standard alphabet, which some
// issuers send, to the form of RFC 7515.
var plainBase64 = strings.NewReplacer("=", "", "+", "-", "/", "_")
