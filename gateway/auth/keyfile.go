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

// Least sizes. A secret of a token can be guessed at leisure by everyone who
// has one (RFC 7518 section 3.2 asks for the 32 bytes of SHA-256, section 3.3
// for the RSA bits).
const (
	minSecret  = 32 // bytes
	minRSABits = 2048
)

var (
	errShortSecret = fmt.Errorf("is too short: an HMAC secret needs %d bytes at least, as `openssl rand -base64 48` makes them", minSecret)
	errPEMSecret   = errors.New("is a key in PEM, but an HMAC secret is random bytes: set it as a public key, or make a secret with `openssl rand -base64 48`")
)

// checkSecret is nil, or what is wrong with an HMAC secret.
func checkSecret(secret []byte) error {
	switch {
	case bytes.Contains(secret, []byte("-----BEGIN ")):
		return errPEMSecret
	case len(secret) < minSecret:
		return errShortSecret
	}
	return nil
}

// ReadSecrets reads HMAC secrets, a line each, at least one: several while one
// is replaced. Empty lines are left out.
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
		return nil, fmt.Errorf("%s is empty: write a secret there, as `openssl rand -base64 48` makes them", path)
	}
	return secrets, nil
}

// readPublicKeys reads a PEM file of one or more public keys or certificates.
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
		return nil, fmt.Errorf("%s has no PEM public key: it must have lines as -----BEGIN PUBLIC KEY-----", path)
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
		return nil, errors.New("it has a private key, which a node must not have: give it the public one, as `openssl pkey -in private.pem -pubout` prints it")
	default:
		return nil, errors.New("it has a PEM block that is no public key: it must have lines as -----BEGIN PUBLIC KEY-----")
	}
	if err != nil {
		return nil, errors.New("its public key cannot be read: make it anew with `openssl pkey -in private.pem -pubout`")
	}
	return key, nil
}

// checkPublicKey is nil if some algorithm can use the key.
func checkPublicKey(key any) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return fmt.Errorf("an RSA key needs %d bits at least", minRSABits)
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

// ReadPrivateKey reads the first private key of a PEM file, to sign with.
func ReadPrivateKey(path string) (crypto.Signer, error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, fmt.Errorf("%s has no PEM private key that is not encrypted: it must have lines as -----BEGIN PRIVATE KEY-----", path)
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
