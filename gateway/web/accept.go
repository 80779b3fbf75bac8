package web

import (
	"net/http"
	"strconv"
	"strings"
)

// AcceptsGzip reports whether the client of a request with this header accepts gzip, and
// does not prefer no compression (RFC 9110 section 12.5.3). Without an Accept-Encoding it
// does not.
func AcceptsGzip(h http.Header) bool {
	const unlisted = -1
	gzip, identity, others := float64(unlisted), float64(unlisted), float64(unlisted)
	for _, line := range h["Accept-Encoding"] {
		for element := range strings.SplitSeq(line, ",") {
			coding, parameters, _ := strings.Cut(element, ";")
			weight := weightOf(parameters)
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				gzip = max(gzip, weight)
			case "identity":
				identity = weight
			case "*":
				others = weight
			}
		}
	}
	if gzip == unlisted {
		gzip = others
	}
	return gzip > 0 && gzip >= identity
}

// weightOf returns the weight in the parameters of an element, at most 1; 1 if there is
// none, and 0 if it is invalid, so that what is unclear is not compressed.
func weightOf(parameters string) float64 {
	name, value, found := strings.Cut(parameters, "=")
	if !found && strings.TrimSpace(parameters) == "" {
		return 1
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || !strings.EqualFold(strings.TrimSpace(name), "q") || !(weight >= 0 && weight <= 1) {
		return 0
	}
	return weight
}
