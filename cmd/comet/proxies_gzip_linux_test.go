package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"comet/internal/testenv"
)

// Load balancers pass compressed streams on as they are, each message at once.
func TestProxiesCompressed(t *testing.T) {
	testenv.Large(t)
	for program := range proxies {
		t.Run(program, func(t *testing.T) {
			b := startBalanced(t, program, "--drain-delay", "0s", "--drain-spread", "0s", "--http-compress", "on")
			var streams []*bufio.Reader
			for i := range 20 {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/v1/events?channel=c", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Accept-Encoding", "gzip")
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { res.Body.Close() })
				if res.Header.Get("Content-Encoding") != "gzip" {
					t.Fatalf("%s %v", res.Status, res.Header)
				}
				body, err := gzip.NewReader(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				streams = append(streams, bufio.NewReader(body))
				awaitLine(t, streams[i], "comet.ready")
				data := fmt.Sprintf(`{"number":%d}`, i)
				published, err := http.Post(b.url+"/v1/channels/c/messages", "application/json", strings.NewReader(data))
				if err != nil {
					t.Fatal(err)
				}
				published.Body.Close()
				for _, s := range streams {
					awaitLine(t, s, data)
				}
			}
		})
	}
}

// awaitLine reads until a line has text.
func awaitLine(t *testing.T, r *bufio.Reader, text string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", text, err)
		}
		if strings.Contains(line, text) {
			return
		}
	}
}
