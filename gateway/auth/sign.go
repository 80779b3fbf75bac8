package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Sign makes a token. key is an HMAC secret ([]byte) or a result of ReadPrivateKey.
// With the algorithm "" it uses the usual one for the key.
func Sign(c *Claims, algorithm string, key any) (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	public := &verifier{key: key}
	switch key := key.(type) {
	case []byte:
		if err := checkSecret(key); err != nil {
			return "", fmt.Errorf("the secret %w", err)
		}
	case crypto.Signer:
		public.key = key.Public()
	default:
		return "", errors.New("a token is signed with a secret or a private key")
	}
	if algorithm == "" {
		algorithm = usualAlgorithm(public.key)
	}
	method := jwt.GetSigningMethod(algorithm)
	if method == nil || !public.fits(algorithm) {
		return "", fmt.Errorf("the algorithm %q does not fit the key: it must be one of %s", algorithm, strings.Join(public.algorithms(), ", "))
	}
	return jwt.NewWithClaims(method, &envelope{Claims: c}).SignedString(key)
}

// usualAlgorithm returns the default algorithm for a key.
func usualAlgorithm(key any) string {
	switch key := key.(type) {
	case []byte:
		return "HS256"
	case *rsa.PublicKey:
		return "RS256"
	case *ecdsa.PublicKey:
		return curveAlgorithm(key.Curve)
	case ed25519.PublicKey:
		return "EdDSA"
	}
	return ""
}

// Peek returns the header and the claims of a token without verifying it, for display
// only. Its error is an *Error.
func Peek(token string) (header map[string]any, claims *Claims, err error) {
	claims = &Claims{}
	parsed, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(token, &envelope{Claims: claims})
	if refused, ok := errors.AsType[*Error](err); ok {
		return nil, nil, refused
	}
	if err != nil && (parsed == nil || parsed.Header == nil || !errors.Is(err, jwt.ErrTokenUnverifiable)) {
		return nil, nil, errNoToken
	}
	return parsed.Header, claims, nil
}
