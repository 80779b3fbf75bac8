package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// files is what a browser may ask for.
var files = []struct {
	path, contentType string
	content           []byte
}{
	{"/", "text/html; charset=utf-8", indexHTML},
	{"/chat.css", "text/css; charset=utf-8", chatCSS},
	{"/chat.js", "text/javascript; charset=utf-8", chatJS},
	{"/favicon.svg", "image/svg+xml", faviconSVG},
	{"/comet.js", "text/javascript; charset=utf-8", cometJS},
	{"/comet.d.ts", "text/plain; charset=utf-8", cometTypes},
}

func serve(t *testing.T, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	for _, f := range files {
		t.Run(f.path, func(t *testing.T) {
			get := serve(t, http.MethodGet, f.path)
			if get.Code != http.StatusOK || get.Body.String() != string(f.content) {
				t.Fatalf("GET: status %d, %d bytes, want 200 and the %d bytes of the file", get.Code, get.Body.Len(), len(f.content))
			}
			want := map[string]string{
				"Content-Type":            f.contentType,
				"Cache-Control":           "no-cache",
				"Content-Security-Policy": policy,
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "no-referrer",
			}
			for name, value := range want {
				if got := get.Header().Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}

			head := serve(t, http.MethodHead, f.path)
			if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") == "" {
				t.Errorf("HEAD: status %d, %d bytes, header %v", head.Code, head.Body.Len(), head.Header())
			}

			again := serve(t, http.MethodGet, f.path, "If-None-Match", get.Header().Get("ETag"))
			if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
				t.Errorf("GET with its ETag: status %d, %d bytes, want 304 and none", again.Code, again.Body.Len())
			}
			if again.Header().Get("Content-Security-Policy") != policy {
				t.Error("a 304 has no Content-Security-Policy")
			}

			if post := serve(t, http.MethodPost, f.path); post.Code != http.StatusMethodNotAllowed {
				t.Errorf("POST: status %d, want 405", post.Code)
			}
		})
	}
}

// The client stays small: pages wait for it.
func TestClientIsSmall(t *testing.T) {
	var compressed bytes.Buffer
	w, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(cometJS); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const limit = 5000
	if compressed.Len() > limit {
		t.Errorf("comet.js is %d bytes compressed, want at most %d: is all of it needed?", compressed.Len(), limit)
	}
}

// Pages of every origin may load the client, and nothing else.
func TestClientIsPublic(t *testing.T) {
	for _, f := range files {
		want := map[bool]string{true: "*"}[strings.HasPrefix(f.path, "/comet.")]
		if got := serve(t, http.MethodGet, f.path, "Origin", "https://elsewhere.example").Header().Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: Access-Control-Allow-Origin is %q, want %q", f.path, got, want)
		}
	}
}

func TestETagsDiffer(t *testing.T) {
	path := make(map[string]string)
	for _, f := range files {
		tag := serve(t, http.MethodGet, f.path).Header().Get("ETag")
		if other, ok := path[tag]; ok {
			t.Errorf("%s and %s have the same ETag %s", other, f.path, tag)
		}
		path[tag] = f.path
	}
}

func TestOtherPaths(t *testing.T) {
	for _, path := range []string{"/index.html", "/static/chat.js", "/chat.js/", "/nothing"} {
		if w := serve(t, http.MethodGet, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, w.Code)
		}
	}
}

// The page loads only what Handler serves, and has nothing that its own
// policy would refuse.
func TestPageKeepsItsPolicy(t *testing.T) {
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(string(indexHTML), -1) {
		if w := serve(t, http.MethodGet, m[1]); w.Code != http.StatusOK {
			t.Errorf("the page loads %s: status %d", m[1], w.Code)
		}
	}
	inline := regexp.MustCompile(`(?i)<style|<script>|\sstyle=|\son[a-z]+=|javascript:`)
	if found := inline.FindString(string(indexHTML)); found != "" {
		t.Errorf("index.html has %q, which the policy forbids", found)
	}
	for _, text := range [][]byte{chatCSS, chatJS} {
		if found := regexp.MustCompile(`https?://|@import|url\(`).Find(text); found != nil {
			t.Errorf("a file refers to %q, which the policy forbids", found)
		}
	}
}

// What people say is shown as text: nothing in the script makes HTML of a string.
func TestScriptMakesNoHTML(t *testing.T) {
	for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setHTML", "createContextualFragment"} {
		if strings.Contains(string(chatJS), word) {
			t.Errorf("chat.js uses %s", word)
		}
	}
}

// Every element that the script looks up is in the page.
func TestScriptFindsItsElements(t *testing.T) {
	lookups := regexp.MustCompile(`\$\('([^']+)'\)`).FindAllStringSubmatch(string(chatJS), -1)
	if len(lookups) == 0 {
		t.Fatal("no look-up found in chat.js")
	}
	for _, m := range lookups {
		if !strings.Contains(string(indexHTML), `id="`+m[1]+`"`) {
			t.Errorf("chat.js looks up %q, which index.html does not have", m[1])
		}
	}
}
