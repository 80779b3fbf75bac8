package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"comet/internal/textfile"
)

// Minimum sizes, from RFC 7518 sections 3.2 and 3.3. Everyone with a token can
// attack its secret offline.
const (
	minSecret  = 32 // bytes
	minRSABits = 2048
)

var (
	errShortSecret = fmt.Errorf("is too short: write at least %d bytes for an HMAC secret, as from `openssl rand -base64 48`", minSecret)
	errPEMSecret   = errors.New("is a PEM key, but an HMAC secret is random bytes: set it as a public key, or create a secret with `openssl rand -base64 48`")
)

// checkSecret returns what is wrong with an HMAC secret. Its error follows the name of
// the secret.
func checkSecret(secret []byte) error {
	switch {
	case bytes.Contains(secret, []byte("-----BEGIN ")):
		return errPEMSecret
	case len(secret) < minSecret:
		return errShortSecret
	}
	return nil
}

// ReadSecrets reads HMAC secrets from a file, one per line and at least one. There are
// several while a secret is rotated. Empty lines are skipped.
func ReadSecrets(path string) (secrets [][]byte, err error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("%s %w", path, errPEMSecret)
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			continue
		}
		if err := checkSecret(line); err != nil {
			return nil, fmt.Errorf("%s, line %d, %w", path, number, err)
		}
		secrets = append(secrets, line)
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%s is empty: write a secret to it, as from `openssl rand -base64 48`", path)
	}
	return secrets, nil
}

// readPublicKeys reads one or more public keys or certificates from a PEM file.
func readPublicKeys(path string) ([]*verifier, error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, err
	}
	var found []*verifier
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		key, err := parsePublicKey(block)
		if err == nil {
			err = checkPublicKey(key)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		found = append(found, &verifier{key: key})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no PEM public key: it needs a line -----BEGIN PUBLIC KEY-----", path)
	}
	return found, nil
}

func parsePublicKey(block *pem.Block) (key any, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = certificate.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("it has a private key, which a node must not have: write the public key, as from `openssl pkey -in private.pem -pubout`")
	default:
		return nil, errors.New("it has a PEM block that is not a public key: it needs a line -----BEGIN PUBLIC KEY-----")
	}
	if err != nil {
		return nil, errors.New("its public key cannot be parsed: create it again with `openssl pkey -in private.pem -pubout`")
	}
	return key, nil
}

// checkPublicKey returns nil if an algorithm can use the key.
func checkPublicKey(key any) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return fmt.Errorf("an RSA key needs at least %d bits", minRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		if curveAlgorithm(key.Curve) == "" {
			return errors.New("its elliptic curve is not P-256, P-384 or P-521")
		}
		return nil
	case ed25519.PublicKey:
		return nil
	}
	return errors.New("it is not for RSA, ECDSA or Ed25519")
}

// ReadPrivateKey reads the first private key of a PEM file, for Sign.
func ReadPrivateKey(path string) (crypto.Signer, error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, fmt.Errorf("%s has no unencrypted PEM private key: it needs a line -----BEGIN PRIVATE KEY-----", path)
		}
		if key, ok := parsePrivateKey(block); ok {
			if err := checkPublicKey(key.Public()); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			return key, nil
		}
	}
}

func parsePrivateKey(block *pem.Block) (key crypto.Signer, ok bool) {
	var parsed any
	switch block.Type {
	case "PRIVATE KEY":
		parsed, _ = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, _ = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, _ = x509.ParseECPrivateKey(block.Bytes)
	}
	key, ok = parsed.(crypto.Signer)
	return key, ok
}
