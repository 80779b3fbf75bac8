package main

import (
	"math"
	"testing"
)

func TestShare(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]share{"1%": 0.01, "0.01": 0.01, "0": 0, "100%": 1, "1": 1, "0.5%": 0.005, "2.5e-3": 0.0025} {
		var s share
		if err := s.Set(text); err != nil || math.Abs(float64(s-want)) > 1e-12 {
			t.Errorf("%s is %v, %v; want %v", text, float64(s), err, float64(want))
		}
	}
	for _, text := range []string{"", "%", "-1%", "101%", "1.1", "2", "NaN", "Inf", "one", "1 %", "1%%"} {
		s := share(0.5)
		if err := s.Set(text); err == nil || s != 0.5 {
			t.Errorf("%q is taken for %v", text, &s)
		}
	}
}

// FuzzShare checks that the text of a share parses as the same share, at its precision.
func FuzzShare(f *testing.F) {
	for _, text := range []string{"1%", "0.01", "1e-9", "33.333333%", "NaN", "0x1p-2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again share
		if s.Set(text) != nil {
			return
		}
		if err := again.Set(s.String()); err != nil || math.Abs(float64(s-again)) > 1e-5*float64(s) {
			t.Errorf("%q is %v, which reads as %v, %v", text, &s, &again, err)
		}
	})
}
