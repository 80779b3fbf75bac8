package web

import (
	"net/http"
	"testing"
)

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"":                                false,
		"gzip":                            true,
		"gzip, deflate, br, zstd":         true,
		"deflate, br;q=1.0, GZIP ; Q=0.5": true,
		"x-gzip":                          true,
		"*":                               true,
		"br, *;q=0.1":                     true,
		"*;q=0":                           false,
		"gzip;q=0":                        false,
		"gzip;q=0.000, *":                 false,
		"gzip;q=0, x-gzip":                true,
		"identity":                        false,
		"identity;q=1, gzip;q=0.5":        false,
		"identity;q=0.5, gzip;q=1.0":      true,
		"identity;q=0.5, gzip;q=0.5":      true,
		"gzip;q=2":                        false,
		"gzip;q=x":                        false,
		"gzip;q=NaN":                      false,
		"gzip;level=9":                    false,
		"gzipped":                         false,
		"deflate":                         false,
	} {
		if got := AcceptsGzip(http.Header{"Accept-Encoding": {accept}}); got != want {
			t.Errorf("%q: %v, want %v", accept, got, want)
		}
	}
	if AcceptsGzip(http.Header{}) || !AcceptsGzip(http.Header{"Accept-Encoding": {"br", "gzip"}}) {
		t.Error("without a field, or with two")
	}
}
