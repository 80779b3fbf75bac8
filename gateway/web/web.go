// Package web is the pages: the chat for clients and the dashboard for
// operators. They are static files, embedded, that speak to the node they came
// from through the HTTP interface that everyone else uses.
package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"time"
)

var (
	//go:embed static/index.html
	indexHTML []byte
	//go:embed static/chat.css
	chatCSS []byte
	//go:embed static/chat.js
	chatJS []byte
	//go:embed static/favicon.svg
	faviconSVG []byte
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
)

// Handler serves the chat at `/` and what it needs at `/chat.css`, `/chat.js`
// and `/favicon.svg`, to GET and HEAD. Each answer has an ETag and is to be
// revalidated, so a new build shows at the next load. Any other path is a 404
// and any other method a 405, both in plain text: a router that answers with
// problem documents sends only these paths and methods here.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", newFile(html, indexHTML))
	mux.Handle("GET /chat.css", newFile(css, chatCSS))
	mux.Handle("GET /chat.js", newFile(javaScript, chatJS))
	mux.Handle("GET /favicon.svg", newFile(svg, faviconSVG))
	return mux
}

// file is one embedded file. The content type is given, not guessed: what the
// mime package says depends on the machine.
type file struct {
	contentType string
	etag        string
	content     []byte
}

func newFile(contentType string, content []byte) *file {
	sum := sha256.Sum256(content)
	return &file{
		contentType: contentType,
		etag:        `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		content:     content,
	}
}

func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("ETag", f.etag)
	h.Set("Cache-Control", "no-cache") // keep it, but ask each time: a 304 is cheap
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
