package redistest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	server := Start(t, TLS())
	if server.Network() != "tcp" {
		t.Errorf("network %q", server.Network())
	}
	if err := server.Client().Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	_, path := server.TLS()
	pem, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %q", pem)
	}
	connection, err := tls.Dial("tcp", server.Addr(), &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	connection.Close()
}

func TestTLSRefuses(t *testing.T) {
	t.Parallel()
	server := Start(t, TLS())
	_, err := tls.Dial("tcp", server.Addr(), &tls.Config{RootCAs: x509.NewCertPool()})
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("without the authority: %v", err)
	}
	plain := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
	defer plain.Close()
	if err := plain.Ping(t.Context()).Err(); err == nil {
		t.Error("a client without TLS was served")
	}
}

func TestNoTLS(t *testing.T) {
	t.Parallel()
	if config, path := Start(t).TLS(); config != nil || path != "" {
		t.Errorf("got %v, %q", config, path)
	}
}
