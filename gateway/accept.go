package gateway

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"comet/gateway/wire"
)

// formatOf is the encoding that the client asks for. Mistakes are in p.err,
// which subscribe reports.
func formatOf(r *http.Request, p *parameters) wire.Format {
	if p.choice("format", "json", "raw") == "raw" {
		return wire.SSERaw
	}
	accept := r.Header["Accept"]
	if len(accept) == 0 || len(accept) == 1 && (accept[0] == wire.SSE.ContentType() || accept[0] == "*/*") {
		return wire.SSE
	}
	sse, lines := unlisted, unlisted
	for _, accepted := range fieldValues(r.Header, "Accept") {
		media, parameters, err := mime.ParseMediaType(accepted)
		if err != nil {
			continue
		}
		weight := weightOf(parameters["q"])
		sse.prefer(media, weight, wire.SSE.ContentType())
		lines.prefer(media, weight, wire.NDJSON.ContentType())
	}
	switch {
	case sse.weight == 0 && lines.weight == 0 && p.err == nil:
		p.err = problem(notAcceptable, "The header Accept refuses text/event-stream and application/x-ndjson, and there is nothing else: accept one of them.")
	case lines.over(sse):
		return wire.NDJSON
	}
	return wire.SSE
}

// preference is how much a client wants a media type.
type preference struct {
	weight   float64 // from 0, refused, to 1
	specific int     // of the range that says so: 1 is any type, 2 any of its kind, 3 the type itself
}

// unlisted is the preference for a type that Accept does not have: better than
// one that it refuses. Most clients that ask for another type take either.
var unlisted = preference{weight: 1e-4}

// prefer takes the weight of a media range, if it has the type and no more
// specific range did (RFC 9110 section 12.5.1).
func (p *preference) prefer(mediaRange string, weight float64, mediaType string) {
	kind, _, _ := strings.Cut(mediaType, "/")
	specific := 0
	switch mediaRange {
	case mediaType:
		specific = 3
	case kind + "/*":
		specific = 2
	case "*/*", "*": // the latter is what old Java sends
		specific = 1
	}
	if specific > p.specific {
		*p = preference{weight, specific}
	}
}

// over reports whether p is the better choice; of equal ones the type that is
// named itself.
func (p preference) over(other preference) bool {
	return p.weight > other.weight || p.weight == other.weight && p.specific > other.specific
}

// weightOf is the value of a parameter q (RFC 9110 section 12.4.2); one that is
// absent or wrong counts as 1.
func weightOf(q string) float64 {
	weight, err := strconv.ParseFloat(q, 64)
	if err != nil || !(weight >= 0 && weight <= 1) {
		return 1
	}
	return weight
}
