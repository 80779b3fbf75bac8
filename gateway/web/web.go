// Package web is the pages, the chat for clients and the dashboard for
// operators, the JavaScript client, and the description of the HTTP API: static
// files, embedded. The pages speak to the node they came from through the HTTP
// interface that everyone else uses.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	//go:embed static/favicon.svg
	faviconSVG []byte
	//go:embed cometjs/comet.js
	cometJS []byte
	//go:embed cometjs/comet.d.ts
	cometTypes []byte
	//go:embed openapi.yaml
	openAPI []byte
)

// policy lets a page load and talk to its own origin and nothing else, so
// that a message shown by mistake as HTML could still run and send nothing.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Content types.
const (
	html       = "text/html; charset=utf-8"
	css        = "text/css; charset=utf-8"
	javaScript = "text/javascript; charset=utf-8"
	svg        = "image/svg+xml"
	text       = "text/plain; charset=utf-8"
	yaml       = "application/yaml" // RFC 9512
)

// Handler serves the chat at `/`, with what it needs, and the client at `/comet.js`
// with its types at `/comet.d.ts` and the HTTP API at `/openapi.yaml`, which pages of
// every origin may load, to GET and HEAD: just the Paths. Each answer has an ETag and is to be revalidated, so
// a new build shows at the next load. Any other path is a 404 and any other
// method a 405, both in plain text: a router that answers with problem documents
// sends only these paths and methods here.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for path, f := range chatFiles {
		if path == "/" {
			path = "/{$}" // and not every path
		}
		mux.Handle("GET "+path, f)
	}
	for path, f := range clientFiles {
		mux.Handle("GET "+path, public(f))
	}
	return mux
}

// clientFiles is what clients are made with, by path: the JavaScript client, and
// the description of the HTTP API.
var clientFiles = map[string]*file{
	"/comet.js":   newFile(javaScript, cometJS),
	"/comet.d.ts": newFile(text, cometTypes),

	"/openapi.yaml": newFile(yaml, openAPI),
}

// Paths is every path that Handler serves, in order; without chat, those of the
// JavaScript client only.
func Paths(chat bool) []string {
	paths := slices.Collect(maps.Keys(clientFiles))
	if chat {
		paths = slices.AppendSeq(paths, maps.Keys(chatFiles))
	}
	slices.Sort(paths)
	return paths
}

// public lets pages of all origins load what has no secrets: a module from
// another origin needs that (https://html.spec.whatwg.org/multipage/webappapis.html#fetch-a-single-module-script).
func public(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.ServeHTTP(w, r)
	})
}

// file is one embedded file. The content type is given, not guessed: what the
// mime package says depends on the machine.
type file struct {
	contentType string
	etag        string
	content     []byte
	compressed  func() []byte // content by gzip
}

func newFile(contentType string, content []byte) *file {
	sum := sha256.Sum256(content)
	return &file{
		contentType: contentType,
		etag:        `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		content:     content,
		compressed:  sync.OnceValue(func() []byte { return compress(content) }),
	}
}

func compress(content []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = w.Write(content) // a Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Vary", "Accept-Encoding")
	etag, content := f.etag, f.content
	if AcceptsGzip(r.Header) {
		etag, content = strings.TrimSuffix(etag, `"`)+`-gzip"`, f.compressed()
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(content))) // ServeContent sets it without an encoding only
	}
	h.Set("ETag", etag)
	h.Set("Cache-Control", "no-cache") // keep it, but ask each time: a 304 is cheap
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}
