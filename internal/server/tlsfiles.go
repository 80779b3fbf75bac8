package server

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"comet/internal/textfile"
)

// tlsCheckEvery is the least time between two looks at the files.
const tlsCheckEvery = 5 * time.Second

// newTLS is how the public listener speaks TLS, with the certificate chain and
// key of two PEM files, the values of http.tls.cert and http.tls.key; nil if
// neither is set. The files may be replaced while the node runs: new
// connections find out within tlsCheckEvery.
func newTLS(certFile, keyFile string, logger *slog.Logger) (*tls.Config, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil
	case certFile == "":
		return nil, errors.New("http.tls.cert: must be set, because http.tls.key is: name the PEM file of its certificate chain")
	case keyFile == "":
		return nil, errors.New("http.tls.key: must be set, because http.tls.cert is: name the PEM file of its private key")
	}
	f := &tlsFiles{cert: certFile, key: keyFile, logger: logger}
	if _, err := f.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: f.certificate,
	}, nil
}

// tlsFiles is a certificate that is read again when its files have changed. It
// looks at their content, because Kubernetes replaces a link to their folder,
// and does so at handshakes, so that it needs no goroutine.
type tlsFiles struct {
	cert, key string // paths
	logger    *slog.Logger
	current   atomic.Pointer[tls.Certificate]

	mu      sync.Mutex // guards all below; held while files are read
	checked time.Time
	used    [sha256.Size]byte // of both files, as current has them
	failure string            // that was logged last, and is still there; empty: none
}

// certificate is tls.Config.GetCertificate. While one handshake looks at the
// files the others do not wait, as a file may be far away.
func (f *tlsFiles) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if f.mu.TryLock() {
		defer f.mu.Unlock()
		if time.Since(f.checked) >= tlsCheckEvery {
			f.reload()
		}
	}
	return f.current.Load(), nil
}

// reload takes what has changed, if it is good. A failure is logged once. It
// is called with mu held.
func (f *tlsFiles) reload() {
	changed, err := f.load()
	switch {
	case err == nil:
		f.failure = ""
		if changed {
			f.logger.Info("certificate reloaded", "cert", f.cert)
		}
	case err.Error() != f.failure:
		f.failure = err.Error()
		f.logger.Warn("certificate reload failed; keeping the current certificate", "error", err)
	}
}

// load makes current what is in the files, unless it is already.
func (f *tlsFiles) load() (changed bool, err error) {
	f.checked = time.Now()
	cert, err := textfile.Read(f.cert)
	if err != nil {
		return false, fmt.Errorf("http.tls.cert: %w", err)
	}
	key, err := textfile.Read(f.key)
	if err != nil {
		return false, fmt.Errorf("http.tls.key: %w", err)
	}
	sum := sha256.Sum256(slices.Concat(cert, []byte{0}, key))
	if sum == f.used {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("http.tls.cert and http.tls.key: %w: both must be PEM, belong together, and have no passphrase", err)
	}
	f.current.Store(&pair)
	f.used = sum
	return true, nil
}
