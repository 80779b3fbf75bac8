package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is a page with what belongs to it.
type page struct {
	name    string
	handler http.Handler
	files   map[string]*file // by path
	html    []byte
	scripts []string // paths of our own
}

func pages() []page {
	dashboard, files := http.NewServeMux(), make(map[string]*file)
	for pattern, f := range Dashboard() {
		dashboard.Handle("GET "+pattern, f)
		files[strings.TrimSuffix(pattern, "{$}")] = f.(*file)
	}
	chat, chatScripts := maps.Clone(chatFiles), []string(nil)
	for path := range chatFiles {
		if strings.HasSuffix(path, ".js") {
			chatScripts = append(chatScripts, path)
		}
	}
	maps.Copy(chat, clientFiles)
	return []page{
		{"chat", Handler(), chat, indexHTML, chatScripts},
		{"dashboard", dashboard, files, dashboardHTML, []string{"/dashboard.js", "/charts.js", "/cluster.js", "/inspector.js", "/server.js", "/text.js"}},
	}
}

func serve(t *testing.T, p page, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	for _, p := range pages() {
		for path, f := range p.files {
			t.Run(p.name+path, func(t *testing.T) { testFile(t, p, path, f) })
		}
	}
}

func testFile(t *testing.T, p page, path string, f *file) {
	get := serve(t, p, http.MethodGet, path)
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

	head := serve(t, p, http.MethodHead, path)
	if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: status %d, %d bytes, header %v", head.Code, head.Body.Len(), head.Header())
	}

	again := serve(t, p, http.MethodGet, path, "If-None-Match", get.Header().Get("ETag"))
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("GET with its ETag: status %d, %d bytes, want 304 and none", again.Code, again.Body.Len())
	}
	if again.Header().Get("Content-Security-Policy") != policy {
		t.Error("a 304 has no Content-Security-Policy")
	}

	for accept, want := range map[string]string{"gzip, deflate, br": "gzip", "br;q=1.0, GZIP;q=0.5": "gzip", "gzip;q=0": "", "gzip;q=0.0, br": "", "identity": ""} {
		small := serve(t, p, http.MethodGet, path, "Accept-Encoding", accept)
		h, body := small.Header(), small.Body.Bytes()
		if h.Get("Content-Encoding") != want || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Length") != strconv.Itoa(len(body)) {
			t.Fatalf("Accept-Encoding %q: %v with %d bytes, want the encoding %q", accept, h, len(body), want)
		}
		if want == "" {
			continue
		}
		if h.Get("ETag") == get.Header().Get("ETag") {
			t.Error("compressed it has the same ETag")
		}
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, f.content) {
			t.Errorf("decompressed it is %d bytes, %v", len(plain), err)
		}
		if again := serve(t, p, http.MethodGet, path, "Accept-Encoding", accept, "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("compressed, with its ETag: status %d", again.Code)
		}
	}

	if post := serve(t, p, http.MethodPost, path); post.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d, want 405", post.Code)
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
	const limit = 5700
	if compressed.Len() > limit {
		t.Errorf("comet.js is %d bytes compressed, want at most %d: is all of it needed?", compressed.Len(), limit)
	}
}

// Pages of every origin may load the client and the API's description, and nothing
// else.
func TestClientIsPublic(t *testing.T) {
	for _, p := range pages() {
		for path := range p.files {
			want := map[bool]string{true: "*"}[strings.HasPrefix(path, "/comet.") || path == "/openapi.yaml"]
			if got := serve(t, p, http.MethodGet, path, "Origin", "https://elsewhere.example").Header().Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s: Access-Control-Allow-Origin is %q, want %q", path, got, want)
			}
		}
	}
}

func TestETagsDiffer(t *testing.T) {
	for _, p := range pages() {
		path := make(map[string]string)
		for name := range p.files {
			tag := serve(t, p, http.MethodGet, name).Header().Get("ETag")
			if other, ok := path[tag]; ok {
				t.Errorf("%s and %s have the same ETag %s", other, name, tag)
			}
			path[tag] = name
		}
	}
}

func TestOtherPaths(t *testing.T) {
	for _, p := range pages() {
		for _, path := range []string{"/index.html", "/static/chat/app.js", "/chat/", "/chat/app.js/", "/nothing"} {
			if w := serve(t, p, http.MethodGet, path); w.Code != http.StatusNotFound {
				t.Errorf("%s%s: status %d, want 404", p.name, path, w.Code)
			}
		}
	}
}

// A page loads only what is served with it, and has nothing that its own policy
// would refuse.
func TestPagesKeepTheirPolicy(t *testing.T) {
	for _, p := range pages() {
		var loads []string
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllSubmatch(p.html, -1) {
			loads = append(loads, string(m[1]))
		}
		for _, script := range p.scripts {
			for _, m := range regexp.MustCompile(`(?m)^import .* from '([^']*)';$`).FindAllSubmatch(p.files[script].content, -1) {
				imported := string(m[1])
				if strings.HasPrefix(imported, ".") {
					imported = path.Join(path.Dir(script), imported)
				}
				loads = append(loads, imported)
			}
		}
		for _, loaded := range loads {
			if w := serve(t, p, http.MethodGet, loaded); w.Code != http.StatusOK {
				t.Errorf("%s loads %s: status %d", p.name, loaded, w.Code)
			}
		}
		inline := regexp.MustCompile(`(?i)<style|<script>|\sstyle=|\son[a-z]+=|javascript:`)
		if found := inline.FindString(string(p.html)); found != "" {
			t.Errorf("%s has %q, which the policy forbids", p.name, found)
		}
		for _, path := range append(p.scripts, "/"+p.name+".css") {
			if found := regexp.MustCompile(`https?://|@import|url\(`).Find(withoutComments(p.files[path].content)); found != nil {
				t.Errorf("%s refers to %q, which the policy forbids", path, found)
			}
		}
	}
}

// withoutComments is a script or style sheet without what says where to read on.
func withoutComments(text []byte) []byte {
	return regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAll(text, nil)
}

// Messages are shown as text: nothing in a script makes HTML of a string.
func TestScriptsMakeNoHTML(t *testing.T) {
	for _, p := range pages() {
		for _, path := range p.scripts {
			for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setHTML", "createContextualFragment"} {
				if strings.Contains(string(p.files[path].content), word) {
					t.Errorf("%s uses %s", path, word)
				}
			}
		}
	}
}

// The browser asks for all scripts of the chat at once, not for one after the other.
func TestScriptsAreAskedForAtOnce(t *testing.T) {
	for path := range chatFiles {
		if strings.HasSuffix(path, ".js") && !bytes.Contains(indexHTML, []byte(`="`+path+`"`)) {
			t.Errorf("index.html does not preload %s", path)
		}
	}
}

// Every element that a script looks up is in its page.
func TestScriptsFindTheirElements(t *testing.T) {
	for _, p := range pages() {
		found := 0
		for _, path := range p.scripts {
			for _, m := range regexp.MustCompile(`\$\('([^']+)'\)`).FindAllStringSubmatch(string(p.files[path].content), -1) {
				found++
				if !strings.Contains(string(p.html), `id="`+m[1]+`"`) {
					t.Errorf("%s looks up %q, which the page does not have", path, m[1])
				}
			}
		}
		if found == 0 {
			t.Errorf("no look-up found in the scripts of %s", p.name)
		}
	}
}
