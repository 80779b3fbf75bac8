package limit

import (
	"crypto/tls"
	"net/http"
	"testing"
)

func TestRebound(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost:8080": false, "LOCALHOST:8080": false, "localhost.:8080": false, "app.localhost:8080": false, "localhost": false,
		"127.0.0.1:8080": false, "[::1]:8080": false, "192.0.2.1:8080": false, "127.0.0.1": false, "[::1]": false,
		"evil.example:8080": true, "evil.example.:8080": true, "EVIL.example:8080": true, "localhost.evil.example:8080": true,
		"notlocalhost:8080": true, "127.0.0.1.evil.example:8080": true, "xn--e1afmkfd:8080": true, ":8080": true,
		"evil.example": false, "evil.example:443": false, "evil.example:80": false, // through a proxy: another port
		"listed.example:8080": false, "Listed.Example:8080": false, "other.listed.example:8080": true,
	} {
		r := &http.Request{Host: host}
		if got := Rebound(r, 8080, []string{"https://a.example", "http://listed.example:3000", "*"}); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	if Rebound(&http.Request{Host: "any.example:8080"}, 8080, []string{"*"}) {
		t.Error("a page may not do what all pages may")
	}
	for port, r := range map[uint16]*http.Request{80: {Host: "evil.example"}, 443: {Host: "evil.example", TLS: &tls.ConnectionState{}}} {
		if !Rebound(r, port, nil) {
			t.Errorf("the port %d is not the one that is left out", port)
		}
	}
}
