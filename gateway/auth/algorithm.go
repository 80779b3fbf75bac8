package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"slices"
	"strings"
)

// algorithms are the supported algorithms, named as in RFC 7518 section 3.1 and
// RFC 8037. `none` must never be one of them.
var algorithms = []string{
	"HS256", "HS384", "HS512",
	"RS256", "RS384", "RS512",
	"PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512",
	"EdDSA",
}

// Algorithms returns the supported signature algorithms.
func Algorithms() []string { return slices.Clone(algorithms) }

// verifier is a key that verifies tokens.
type verifier struct {
	id        string // kid in a JWK set; "": for tokens with any kid
	algorithm string // alg in a JWK set; "": every algorithm of its kind
	key       any    // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// fits reports whether the key is of algorithm's kind. A public key must never be
// used as an HMAC secret.
func (v *verifier) fits(algorithm string) bool {
	if v.algorithm != "" && v.algorithm != algorithm {
		return false
	}
	switch key := v.key.(type) {
	case []byte:
		return isHMAC(algorithm)
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return algorithm == curveAlgorithm(key.Curve)
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

func isHMAC(algorithm string) bool { return strings.HasPrefix(algorithm, "HS") }

// curveAlgorithm returns the algorithm of a curve, or "".
func curveAlgorithm(curve elliptic.Curve) string {
	switch curve {
	case elliptic.P256():
		return "ES256"
	case elliptic.P384():
		return "ES384"
	case elliptic.P521():
		return "ES512"
	}
	return ""
}

// kind describes the key in words.
func (v *verifier) kind() string {
	switch v.key.(type) {
	case []byte:
		return "secret"
	case *rsa.PublicKey:
		return "public key for RSA"
	case *ecdsa.PublicKey:
		return "public key for ECDSA"
	}
	return "public key for Ed25519"
}

// algorithms returns the algorithms of the key.
func (v *verifier) algorithms() []string {
	return slices.DeleteFunc(Algorithms(), func(a string) bool { return !v.fits(a) })
}
