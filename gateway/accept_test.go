package gateway_test

import (
	"net/http"
	"testing"
)

// The format of a stream is the one that the client prefers, and never one that
// it refuses.
func TestAccept(t *testing.T) {
	t.Parallel()
	const sse = "text/event-stream"
	c := overMemory(t, setup{})
	c.open("channel=c").want("ready") // opens the channel: what follows may come on the fast path
	for accept, want := range map[string]string{
		sse:                                      sse,
		"*/*":                                    sse,
		"text/*":                                 sse,
		"text/html":                              sse,
		asLines:                                  asLines,
		"APPLICATION/X-NDJSON":                   asLines,
		"application/*":                          asLines,
		sse + ", " + asLines:                     sse,
		asLines + ", " + sse:                     sse,
		asLines + ", */*":                        asLines,
		sse + ", " + asLines + ";q=0.1":          sse,
		asLines + ";q=0.9, " + sse + ";q=0.1":    asLines,
		asLines + ";q=0.9 , " + sse + " ; q=1.0": sse,
		asLines + ";Q=0.2, " + sse + ";q=0.1":    asLines,
		asLines + ";q=0, " + sse:                 sse,
		asLines + ";q=0":                         sse,
		asLines + ";q=0.000":                     sse,
		sse + ";q=0":                             asLines,
		sse + ";q=0, */*":                        asLines,
		"*/*;q=0, " + asLines:                    asLines,
		"*/*;q=0, " + sse + ";q=0.1":             sse,
		"text/*;q=0.5, " + asLines + ";q=0.6":    asLines,
		"text/html, application/xhtml+xml, */*;q=0.8":          sse,
		"application/json, text/plain, */*":                    sse,
		"text/html, " + asLines + ";q=0.9, */*":                sse,
		"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2": sse,
		asLines + ";q=high, " + sse + ";q=0.5":                 asLines,
		";;, " + asLines:                                       asLines,
	} {
		s := c.open("channel=c", "Accept", accept)
		if got := s.header.Get("Content-Type"); got != want {
			t.Errorf("Accept: %s: got %s, want %s", accept, got, want)
		}
		s.leave()
	}
	s := c.open("channel=c", "Accept", sse+";q=0.5", "Accept", asLines)
	if got := s.header.Get("Content-Type"); got != asLines {
		t.Errorf("of two lines: got %s", got)
	}
	for _, accept := range []string{"*/*;q=0", sse + ";q=0, " + asLines + ";q=0", "text/*;q=0, application/*;q=0.0"} {
		wantProblem(t, accept, c.send(get("/v1/events?channel=c", "Accept", accept)), want{http.StatusNotAcceptable, "not-acceptable", "Accept"})
	}
}
