package gateway

import (
	"io"
	"net/http"
)

// Bounds of what is read of a refused request's body, in bytes. net/http reads
// servedBytes of it by itself and closes the connection if there is more; then a
// client that reads the answer only after it has sent everything (Python's
// urllib, for one) sees a broken connection instead, and tries again. The time
// for it is that of any body, Limits.Body after the request began.
const (
	servedBytes  = 256 << 10
	refusedBytes = 64 << 20
)

// mayBeSending reports whether the client of a refused request may still be
// sending more than net/http reads. Clients without a valid credential are not
// read on. One that asks whether to send (Expect) reads the answer first, and
// HTTP/2 has a frame that says to stop.
func mayBeSending(r *http.Request) bool {
	return contextOf(r).Principal != nil && r.ProtoMajor == 1 && r.Header.Get("Expect") == "" &&
		(r.ContentLength < 0 || r.ContentLength > servedBytes)
}

// answerWhileSending calls answer, and reads and drops what the client sends
// until it has read the answer. Then the connection is closed.
func answerWhileSending(w http.ResponseWriter, r *http.Request, answer func()) {
	c := http.NewResponseController(w)
	_ = c.EnableFullDuplex() // a test's recorder has none
	w.Header().Set("Connection", "close")
	answer()
	if c.Flush() == nil {
		_, _ = io.CopyN(io.Discard, r.Body, refusedBytes) // whatever ends it, the connection is closed
	}
}
