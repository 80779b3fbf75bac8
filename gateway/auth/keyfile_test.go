package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// der is a PEM block of what a function of crypto/x509 made.
func der(t testing.TB, kind string) func([]byte, error) string {
	return func(bytes []byte, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
}

func TestPublicKeyFiles(t *testing.T) {
	rsaKey := pairs()["rsa"].private
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := der(t, "RSA PUBLIC KEY")(x509.MarshalPKCS1PublicKey(rsaKey.Public().(*rsa.PublicKey)), nil)
	certificate := der(t, "CERTIFICATE")(x509.CreateCertificate(rand.Reader, template, template, rsaKey.Public(), rsaKey))
	for _, test := range []struct {
		text string
		keys int
		want string // of the error
	}{
		{pkcs1, 1, ""},
		{certificate, 1, ""},
		{"a comment\n" + pkcs1 + certificate, 2, ""},
		{publicPEM(t, &p224.PublicKey), 0, "its elliptic curve is not P-256, P-384 or P-521"},
		{pkcs1 + privatePEM(t, rsaKey), 0, "it has a private key"},
		{der(t, "CERTIFICATE REQUEST")(nil, nil), 0, "a PEM block that is not a public key"},
		{der(t, "CERTIFICATE")(nil, nil), 0, "its public key cannot be parsed"},
		{"", 0, "has no PEM public key"},
	} {
		found, err := readPublicKeys(writeFile(t, test.text))
		if len(found) != test.keys || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %d keys, %v, want %d, %s", test.text, len(found), err, test.keys, test.want)
		}
	}
}

func TestPrivateKeyForms(t *testing.T) {
	rsaKey, ecKey := pairs()["rsa"].private.(*rsa.PrivateKey), pairs()["p256"].private.(*ecdsa.PrivateKey)
	parameters := der(t, "EC PARAMETERS")([]byte{6}, nil) // openssl writes them before the key
	for _, text := range []string{
		der(t, "RSA PRIVATE KEY")(x509.MarshalPKCS1PrivateKey(rsaKey), nil),
		parameters + der(t, "EC PRIVATE KEY")(x509.MarshalECPrivateKey(ecKey)),
	} {
		if _, err := ReadPrivateKey(writeFile(t, text)); err != nil {
			t.Errorf("%s: %v", text[:30], err)
		}
	}
	if _, err := ReadPrivateKey("gone"); err == nil {
		t.Error("a file that is gone is no error")
	}
}

func TestReadSecrets(t *testing.T) {
	for text, want := range map[string][]string{
		secretText:          {secretText},
		secretText + "\r\n": {secretText},
		"\n" + secretText + "\n\n" + otherText + "\n": {secretText, otherText},
	} {
		secrets, err := ReadSecrets(writeFile(t, text))
		var got []string
		for _, secret := range secrets {
			got = append(got, string(secret))
		}
		if !slices.Equal(got, want) || err != nil {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                  "is empty",
		"\n\r\n":                            "is empty",
		secretText + "\n" + secretText[:31]: "line 2, is too short",
		publicPEM(t, pairs()["ed"].private.Public()): "is a PEM key",
	} {
		_, err := ReadSecrets(writeFile(t, text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
			continue
		}
		wantSilent(t, err.Error(), secretText[:31])
	}
}

func TestReadPrivateKey(t *testing.T) {
	for name, p := range pairs() {
		key, err := ReadPrivateKey(writeFile(t, privatePEM(t, p.private)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := Sign(&Claims{Subject: "alice"}, "", key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadPrivateKey(pairs()["ed"].file(t)); err == nil {
		t.Error("a public key was read as a private one")
	}
}

// Editors that put a byte order mark before UTF-8 change no secret and no key.
func TestFilesWithByteOrderMark(t *testing.T) {
	const mark = "\xef\xbb\xbf"
	if secrets, err := ReadSecrets(writeFile(t, mark+secretText+"\r\n"+otherText)); err != nil || len(secrets) != 2 || string(secrets[0]) != secretText {
		t.Errorf("secrets: %q, %v", secrets, err)
	}
	if keys, err := ReadKeys(writeFile(t, mark+"backend:"+keyText)); err != nil || !slices.Equal(keys, []string{"backend:" + keyText}) {
		t.Errorf("keys: %q, %v", keys, err)
	}
	if found, err := readPublicKeys(writeFile(t, mark+publicPEM(t, pairs()["ed"].private.Public()))); err != nil || len(found) != 1 {
		t.Errorf("public key: %v", err)
	}
	if _, err := ReadPrivateKey(writeFile(t, mark+privatePEM(t, pairs()["ed"].private))); err != nil {
		t.Errorf("private key: %v", err)
	}
	if _, err := ReadSecrets(writeFile(t, "\xff\xfes\x00e\x00c\x00")); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("UTF-16: %v", err)
	}
}
