package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"comet/config"
	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

const redisPassword = "redis-password-0123456789abcdef"

// leakFinder collects the output of a node, and the secrets that must not be in it.
type leakFinder struct {
	t       *testing.T
	secrets map[string]string // name by text
	shown   map[string]string // by where
}

func (f *leakFinder) secret(name, text string) string {
	f.secrets[text] = name
	return text
}

// see sends a request and keeps all of the answer.
func (f *leakFinder) see(method, url, body string, header ...string) *http.Response {
	f.t.Helper()
	r := servertest.Ask(f.t, method, url, body, header...)
	f.shown[fmt.Sprint(len(f.shown), " ", method, " answered ", r.Status)] = fmt.Sprint(r.Header, servertest.Body(f.t, r))
	return r
}

// check looks for the secrets, and for long parts of them.
func (f *leakFinder) check() {
	f.t.Helper()
	for where, text := range f.shown {
		for secret, name := range f.secrets {
			for part := range strings.FieldsFuncSeq(secret, func(r rune) bool { return strings.ContainsRune(".:, ", r) }) {
				if i := strings.Index(text, part); i >= 0 && len(part) >= 10 {
					f.t.Errorf("%s shows %s: …%s…", where, name, text[max(0, i-100):min(len(text), i+len(part)+20)])
				}
			}
		}
	}
}

// TestNoSecretIsShown checks that no log line, answer, error, metric or profile has
// a secret.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	f := &leakFinder{t: t, secrets: map[string]string{}, shown: map[string]string{}}
	redis := redistest.Start(t, redistest.Password(f.secret("redis.password", redisPassword)))
	environ := []string{
		"COMET_REDIS_PASSWORD=" + redisPassword,
		"COMET_AUTH_KEYS=backend:" + f.secret("auth.keys", servertest.BackendKey),
		"COMET_AUTH_JWT_SECRET=" + f.secret("auth.jwt.secret", servertest.JWTSecret),
		"COMET_EVENTS_URL=http://127.0.0.1:1/events", // so that it fails
		"COMET_EVENTS_SECRET_FILE=" + servertest.NewFile(t, f.secret("events.secret_file", "events-secret-0123456789abcdef0123456789abcdef")),
		"COMET_ADMIN_TOKEN=" + f.secret("admin.token", servertest.AdminToken),
	}
	args := []string{"--redis", redis.Addr(), "--auth-jwt-algorithms", "HS256", "--log-level", "debug", "--limits-message", "100B",
		"--auth-cookie-name", "session", "--http-cors-origins", "https://app.example", "--admin-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
		"--limits-user-publishes", "1", "--redis-timeout", "500ms", "--drain-delay", "0s", "--drain-spread", "0s", "--node", "n"}
	node := setup{environ: environ}.start(t, append([]string{"serve"}, args...)...)
	match := node.awaitErr(`msg=serving .*url=(\S+) admin=(\S+)`)
	url, admin := match[1], match[2]

	right := f.secret("a token", servertest.Token(t, "alice", 0))
	f.secret("another token", servertest.Token(t, "bob", -30*time.Hour)) // too old
	wrong := f.secret("a wrong token", right[:len(right)-9]+"AAAAAAAAA")
	for text := range map[string]bool{right: true, wrong: true, servertest.BackendKey: true, f.secret("a wrong key", "wrong-key-0123456789abcdef0123456789"): true} {
		for _, path := range []string{servertest.News, "/v1/events?channel=news&last=x", "/v1/poll?channel=news&cursor=x", "/v1/poll?channel=comet.x", "/v1/poll?channel=news&wait=0", "/nothing", "/", "/v1/publish"} {
			separator := map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")]
			query := url + path + separator + "access_token=" + text
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions, "X-" + http.MethodGet} {
				f.see(method, url+path, strings.Repeat("x", 101), servertest.Bearer(text)...)
				f.see(method, query, "1", "Referer", query)
				f.see(method, query+"&%zz", "1")
				f.see(method, url+path, "1", "Cookie", "session="+text, "Origin", "https://app.example")
				f.see(method, query, "1", servertest.Bearer(text)...)
			}
		}
		sendRaw(t, url, "GET "+servertest.News+"?access_token="+text+" HTTP/1.1\r\nHost: h h\r\nAuthorization: Bearer "+text+"\r\n\r\n")
		sendRaw(t, url, "GET "+servertest.News+"?access_token="+text+" HTTP/1.1\r\nHost: h\r\nBad Field "+text+": \x01\r\n\r\n")
		sendRaw(t, url, "\x16\x03\x01"+text)
		f.see(http.MethodGet, admin+"/metrics", "", servertest.Bearer(text)...)
		f.see(http.MethodGet, admin+"/metrics?access_token="+text, "")
		f.see(http.MethodDelete, admin+"/v1/users/alice/sessions?access_token="+text, "", servertest.Bearer(text)...)
	}
	for range 3 { // over a limit
		f.see(http.MethodPost, url+servertest.News, "1", servertest.Bearer(right)...)
	}
	servertest.OpenStream(t, url+"/v1/events?channel=news&access_token="+right)
	for _, path := range []string{"/metrics", "/readyz", "/debug/pprof/", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1"} {
		f.see(http.MethodGet, admin+path, "", servertest.Bearer(servertest.AdminToken)...)
	}
	redis.Stop()
	f.see(http.MethodPost, url+servertest.News+"?access_token="+f.secret("carol's token", servertest.Token(t, "carol", 0)), "1")
	f.see(http.MethodPost, url+servertest.News, "1", servertest.Bearer(servertest.BackendKey)...)
	f.see(http.MethodDelete, admin+"/v1/users/alice/sessions", "", servertest.Bearer(servertest.AdminToken)...)
	f.see(http.MethodGet, admin+"/readyz", "")
	f.see(http.MethodPost, admin+"/v1/drain", "", servertest.Bearer(servertest.AdminToken)...)
	node.wait()
	f.shown["standard output"], f.shown["the log"] = node.out.String(), node.errOut.String()
	if !strings.Contains(f.shown["the log"], "request failed") {
		t.Error("nothing failed, so nothing was tried")
	}
	printed := setup{environ: environ}.runToEnd(t, append([]string{"config", "print"}, args...)...)
	f.shown["config print"] = printed.out.String() + printed.errOut.String()
	f.check()
}

// sendRaw sends bytes that no client would send, and waits for the end.
func sendRaw(t *testing.T, url, text string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(deadline))
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	var b [1 << 10]byte
	for err == nil {
		_, err = c.Read(b[:])
	}
}

// TestNoSecretIsPrinted checks that no secret setting is printed, valid or not, and
// that no error quotes the content of a file.
func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	f := &leakFinder{t: t, secrets: map[string]string{}, shown: map[string]string{}}
	for i, s := range config.Table() {
		if !s.Secret {
			continue
		}
		text := f.secret(s.Key, fmt.Sprintf("hidden-%02d-0123456789abcdef", i))
		for _, command := range [][]string{{"config", "print"}, {"config", "check"}, {"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", ""}} {
			for _, more := range []string{"", "x:", "a b,c:"} {
				// It has a mistake in any case, so serve ends.
				p := setup{environ: []string{s.Env + "=" + more + text}}.runToEnd(t, append(command, "--redis-db", "99")...)
				f.shown[fmt.Sprint(command, s.Key, more)] = p.out.String() + p.errOut.String()
			}
		}
	}
	for flag, content := range map[string]string{
		"--auth-keys-file":       f.secret("a short key", "backend:hidden-short"),
		"--auth-jwt-secret-file": f.secret("a short secret", "hidden-short-secret"),
	} {
		for _, text := range []string{content, "hidden-key-without-a-name-0123456789abcdef", "a b:" + content, content + "\n" + content} {
			f.secret("a line of "+flag, text)
			args := []string{"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", "", flag, servertest.NewFile(t, text), "--auth-key-rules", "other:publish:**"}
			if strings.Contains(flag, "jwt") {
				args = append(args[:len(args)-2], "--auth-jwt-algorithms", "HS256,RS256")
			}
			p := runToEnd(t, args...)
			p.wantExit(exitFailure)
			f.shown[flag+text[:3]] = p.out.String() + p.errOut.String()
		}
	}
	f.check()
}
