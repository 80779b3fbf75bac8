package hook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"comet/gateway/hook"
	"comet/internal/testenv"
)

// TestSamples runs the applications of docs/hooks.md in other languages: they take
// what a node signs, and nothing else.
func TestSamples(t *testing.T) {
	doc, err := os.ReadFile("../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for language, command := range map[string][]string{
		"js": {"node", "ask.mjs"}, "php": {"php", "-S", "127.0.0.1:3000", "ask.php"}, "python": {"python3", "ask.py"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			testenv.Program(t, command[0])
			found := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(doc, -1)
			if len(found) != 1 {
				t.Fatalf("docs/hooks.md has %d samples of %s", len(found), language)
			}
			url := serveSample(t, string(found[0][1]), command)
			asker := newSampleAsker(t, url, secret)
			for channel, want := range map[string]bool{"users/alice": true, "users/bob": false} {
				err := asker.Allowed(t.Context(), hook.Question{Action: hook.Subscribe, User: "alice", Channels: []string{channel}, Headers: map[string]string{"Cookie": "a=b"}})
				if _, denied := errors.AsType[*hook.Denied](err); denied == want || err != nil && !strings.Contains(err.Error(), "not yours") {
					t.Errorf("%s: %v", channel, err)
				}
			}
			if err := asker.Allowed(t.Context(), hook.Question{Action: hook.Subscribe, User: "alice", Channels: []string{"users/alice", "b"}}); err == nil {
				t.Error("several channels: all are allowed")
			}
			forger := newSampleAsker(t, url, []byte("another secret of 32 bytes or more"))
			if err := forger.Allowed(t.Context(), hook.Question{Action: hook.Subscribe, User: "alice", Channels: []string{"users/alice"}}); err == nil {
				t.Error("it takes a signature by another secret")
			}
			for _, signature := range []string{"", "t=1,v1=", fmt.Sprintf("t=%d,v1=%064d", time.Now().Unix(), 0), oldSignature()} {
				if status := postSigned(t, url, signature); status != http.StatusUnauthorized {
					t.Errorf("signature %q: status %d", signature, status)
				}
			}
		})
	}
}

// oldSignature returns a signature of {} that is an hour old.
func oldSignature() string {
	t := fmt.Sprint(time.Now().Add(-time.Hour).Unix())
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + ".{}"))
	return fmt.Sprintf("t=%s,v1=%x", t, mac.Sum(nil))
}

func newSampleAsker(t *testing.T, url string, secret []byte) *hook.Asker {
	t.Helper()
	asker, err := hook.NewAsker(hook.AskerOptions{Endpoint: hook.Endpoint{URL: url, Secret: secret}, Headers: []string{"Cookie"}, Timeout: testenv.Patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(asker.Close)
	return asker
}

func postSigned(t *testing.T, url, signature string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(hook.SignatureHeader, signature)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// serveSample runs a sample on a free port, and returns its URL.
func serveSample(t *testing.T, code string, command []string) string {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	for name, text := range map[string]string{"hook-secret": string(secret) + "\n", command[len(command)-1]: strings.ReplaceAll(code, "3000", port)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	args := strings.Split(strings.ReplaceAll(strings.Join(command[1:], " "), "3000", port), " ")
	c := exec.CommandContext(ctx, command[0], args...)
	c.Dir, c.Stderr = dir, t.Output()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait() // killed
	})
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for late := time.After(testenv.Patience); ; {
		if probe, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			probe.Close()
			return "http://127.0.0.1:" + port
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatal("the sample does not listen")
		}
	}
}
