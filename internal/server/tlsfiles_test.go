package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"comet/internal/servertest"
	"comet/internal/testenv"
)

// tlsUnderTest is newTLS over files in a folder, which its log goes to too.
type tlsUnderTest struct {
	t         *testing.T
	cert, key string
	config    *tls.Config
	log       bytes.Buffer
}

// newTLSUnderTest makes the files name it with certificate 1.
func newTLSUnderTest(t *testing.T) *tlsUnderTest {
	t.Helper()
	u := &tlsUnderTest{t: t, cert: filepath.Join(t.TempDir(), "tls.crt"), key: filepath.Join(t.TempDir(), "tls.key")}
	u.write(servertest.NewCertificate(t, 1))
	u.start()
	return u
}

func (u *tlsUnderTest) start() {
	u.t.Helper()
	var err error
	if u.config, err = newTLS(u.cert, u.key, slog.New(slog.NewTextHandler(&u.log, nil))); err != nil {
		u.t.Fatal(err)
	}
}

func (u *tlsUnderTest) write(cert, key []byte) {
	u.t.Helper()
	servertest.WriteFile(u.t, u.cert, cert)
	servertest.WriteFile(u.t, u.key, key)
}

// wantSerial is what a handshake gives, and how many lines the log has then.
func (u *tlsUnderTest) wantSerial(when string, serial int64, lines int) {
	u.t.Helper()
	c, err := u.config.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		u.t.Fatal(err)
	}
	if got := c.Leaf.SerialNumber.Int64(); got != serial {
		u.t.Errorf("%s: certificate %d, want %d", when, got, serial)
	}
	if got := strings.Count(u.log.String(), "\n"); got != lines {
		u.t.Errorf("%s: %d log lines, want %d:\n%s", when, got, lines, u.log.String())
	}
}

func TestTLSReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTLSUnderTest(t)
		u.write(servertest.NewCertificate(t, 2))
		u.wantSerial("at once", 1, 0)
		time.Sleep(tlsCheckEvery)
		u.wantSerial("after a while", 2, 1)
		time.Sleep(tlsCheckEvery)
		u.wantSerial("unchanged", 2, 1)
	})
}

func TestTLSReloadBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTLSUnderTest(t)
		cert, key := servertest.NewCertificate(t, 2)
		otherCert, otherKey := servertest.NewCertificate(t, 3)
		steps := []struct {
			when      string
			cert, key []byte
			serial    int64
			lines     int
		}{
			{"half a certificate", cert[:len(cert)/2], key, 1, 1},
			{"the same again", cert[:len(cert)/2], key, 1, 1},
			{"another's key", cert, otherKey, 1, 2},
			{"the same again, of others", otherCert, key, 1, 2},
			{"fixed", cert, key, 2, 3},
			{"broken again", otherCert, key, 2, 4},
			{"back again", cert, key, 2, 4},
			{"broken once more", otherCert, key, 2, 5},
		}
		for _, s := range steps {
			u.write(s.cert, s.key)
			time.Sleep(tlsCheckEvery)
			u.wantSerial(s.when, s.serial, s.lines)
		}
		if err := os.Remove(u.key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(tlsCheckEvery)
		u.wantSerial("without a key", 2, 6)
		for _, secret := range strings.Fields(string(key) + string(otherKey)) {
			if len(secret) > 20 && strings.Contains(u.log.String(), secret) {
				t.Errorf("the log has a line of a private key")
			}
		}
	})
}

// TestTLSReloadLinks replaces files as Kubernetes does: `tls.crt` is a link
// into `..data`, which is a link that another takes the place of.
func TestTLSReloadLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		mount := func(version string, serial int64) {
			t.Helper()
			cert, key := servertest.NewCertificate(t, serial)
			if err := os.Mkdir(filepath.Join(folder, version), 0o700); err != nil {
				t.Fatal(err)
			}
			servertest.WriteFile(t, filepath.Join(folder, version, "tls.crt"), cert)
			servertest.WriteFile(t, filepath.Join(folder, version, "tls.key"), key)
			next := filepath.Join(folder, "..data_tmp")
			if err := os.Symlink(version, next); err != nil {
				t.Skip("this system has no links: ", err)
			}
			if err := os.Rename(next, filepath.Join(folder, "..data")); err != nil {
				t.Fatal(err)
			}
		}
		mount("..1", 1)
		u := &tlsUnderTest{t: t, cert: filepath.Join(folder, "tls.crt"), key: filepath.Join(folder, "tls.key")}
		for _, name := range []string{u.cert, u.key} {
			if err := os.Symlink(filepath.Join("..data", filepath.Base(name)), name); err != nil {
				t.Fatal(err)
			}
		}
		u.start()
		mount("..2", 2)
		time.Sleep(tlsCheckEvery)
		u.wantSerial("after the links", 2, 1)
	})
}

func TestTLSMistakes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name string, content []byte) string {
		name = filepath.Join(folder, name)
		servertest.WriteFile(t, name, content)
		return name
	}
	certPEM, keyPEM := servertest.NewCertificate(t, 1)
	_, otherPEM := servertest.NewCertificate(t, 2)
	cert, key, other := file("a.crt", certPEM), file("a.key", keyPEM), file("b.key", otherPEM)
	empty, missing := file("empty", nil), filepath.Join(folder, "missing")
	for _, tt := range []struct{ name, cert, key, want string }{
		{"no key", cert, "", "http.tls.key: must be set"},
		{"no certificate", "", key, "http.tls.cert: must be set"},
		{"missing certificate", missing, key, "http.tls.cert: open "},
		{"missing key", cert, missing, "http.tls.key: open "},
		{"empty certificate", empty, key, "http.tls.cert and http.tls.key: tls: failed to find any PEM data in certificate input"},
		{"empty key", cert, empty, "http.tls.cert and http.tls.key: tls: failed to find any PEM data in key input"},
		{"switched", key, cert, "switched"},
		{"another's key", cert, other, "private key does not match public key: both must"},
	} {
		config, err := newTLS(tt.cert, tt.key, slog.New(slog.DiscardHandler))
		if err == nil || config != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if config, err := newTLS("", "", nil); config != nil || err != nil {
		t.Errorf("neither: got %v, %v", config, err)
	}
}

// serveTLS serves each request's protocol with u's configuration.
func (u *tlsUnderTest) serveTLS() (address string) {
	u.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		u.t.Fatal(err)
	}
	server := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(tls.NewListener(l, u.config))
	}()
	u.t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return l.Addr().String()
}

func TestTLSProtocols(t *testing.T) {
	t.Parallel()
	u := newTLSUnderTest(t)
	address := u.serveTLS()
	roots := x509.NewCertPool()
	pair, _ := u.config.GetCertificate(nil)
	roots.AddCert(pair.Leaf)
	for _, tt := range []struct {
		name     string
		versions [2]uint16
		http2    bool
		want     string // empty: refused
	}{
		{"HTTP/2", [2]uint16{}, true, "HTTP/2.0"},
		{"HTTP/1.1", [2]uint16{}, false, "HTTP/1.1"},
		{"TLS 1.2", [2]uint16{0, tls.VersionTLS12}, true, "HTTP/2.0"},
		{"TLS 1.1", [2]uint16{tls.VersionTLS10, tls.VersionTLS11}, false, ""},
	} {
		transport := &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tt.versions[0], MaxVersion: tt.versions[1]},
			ForceAttemptHTTP2: tt.http2,
		}
		got := ""
		response, err := (&http.Client{Transport: transport, Timeout: testenv.Patience}).Get("https://" + address)
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			got = string(body)
		}
		transport.CloseIdleConnections()
		if got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// TestTLSHandshakesTogether lets many handshakes meet while the files change.
func TestTLSHandshakesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTLSUnderTest(t)
		for serial := range int64(5) {
			u.write(servertest.NewCertificate(t, serial+2))
			time.Sleep(tlsCheckEvery)
			for range 20 {
				go func() {
					if c, err := u.config.GetCertificate(nil); err != nil || c.Leaf == nil {
						t.Error("a handshake had no certificate")
					}
				}()
			}
			synctest.Wait()
			u.wantSerial("after them", serial+2, int(serial)+1)
		}
	})
}
