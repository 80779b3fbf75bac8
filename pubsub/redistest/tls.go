package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// TLS makes the server speak TLS alone, on TCP, with a certificate for
// 127.0.0.1 and localhost from an authority made for this option. Servers that
// share the option value, as those of a topology do, share the authority.
func TLS() Option {
	a := newAuthority()
	return func(s *settings) { s.tcp, s.tls = true, a }
}

// TLS gives what a client of a server with the option TLS needs: a
// configuration, or the path of the authority's certificate (PEM), which is
// there until the server's test ends. Without the option it is nil and "".
func (s *Server) TLS() (*tls.Config, string) {
	if s.tls == nil {
		return nil, ""
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.tls.root)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, s.pemPath("ca")
}

// ClientCertificate returns the paths of a certificate and its key (PEM) that a server
// with the option TLS accepts from clients, after CONFIG SET tls-auth-clients yes.
func (s *Server) ClientCertificate() (certificate, key string) {
	return s.pemPath("certificate"), s.pemPath("key")
}

// authority is a certificate authority that has signed one certificate.
type authority struct {
	root, certificate, key []byte // PEM
	err                    error  // of making them; an option has no test to fail
}

func newAuthority() *authority {
	a := new(authority)
	a.err = a.make()
	return a
}

func (a *authority) make() error {
	rootKey, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	root := certificate(1, "redistest")
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	leaf := certificate(2, "redis-server")
	leaf.DNSNames, leaf.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} // it is a client of other servers

	rootDER, err1 := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	leafDER, err2 := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	keyDER, err3 := x509.MarshalPKCS8PrivateKey(key)
	a.root = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	a.certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER})
	a.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return errors.Join(err1, err2, err3)
}

// certificate is a template that is good for the time of a test.
func certificate(serial int64, name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), // the server's clock may be behind
		NotAfter:     now.Add(24 * time.Hour),
	}
}

// writeTLS writes the files that tlsDirectives names.
func (s *Server) writeTLS() {
	s.t.Helper()
	if s.tls == nil {
		return
	}
	err := s.tls.err
	for name, text := range map[string][]byte{"ca": s.tls.root, "certificate": s.tls.certificate, "key": s.tls.key} {
		err = errors.Join(err, os.WriteFile(s.pemPath(name), text, 0o600))
	}
	if err != nil {
		s.t.Fatalf("make certificates for redis-server: %v", err)
	}
}

// tlsDirectives make the server speak TLS to clients and to other servers.
func (s *Server) tlsDirectives() []directive {
	all := []directive{
		{"tls-ca-cert-file", s.pemPath("ca")},
		{"tls-cert-file", s.pemPath("certificate")},
		{"tls-key-file", s.pemPath("key")},
		{"tls-auth-clients", "no"},
		{"tls-replication", "yes"}, // a Sentinel's connections too
	}
	if s.kind == clusterNode {
		all = append(all, directive{"tls-cluster", "yes"})
	}
	return all
}

func (s *Server) pemPath(name string) string { return filepath.Join(s.dir, name+".pem") }
