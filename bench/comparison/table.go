//go:build linux

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"comet/bench"
)

// writeTable writes the medians as Markdown, and below them what went wrong.
func writeTable(w io.Writer, chosen []scenario, all measurements) {
	fmt.Fprintf(w, "| what | %s | %s | %s | target | met |\n|---|---|---|---|---|---|\n", comet, nchan, bare)
	for _, s := range chosen {
		if len(all[s.name]) == 0 {
			continue // interrupted before
		}
		for _, r := range s.rows {
			writeRow(w, r, all[s.name])
		}
	}
	for _, s := range chosen {
		for _, name := range []string{comet, nchan, bare} {
			if t := troubles(all[s.name][name]); !t.None() {
				fmt.Fprintf(w, "\n%s, %s: %s.\n", s.name, name, troubleText(t))
			}
		}
	}
}

func writeRow(w io.Writer, r row, results map[string][]*bench.Result) {
	values := make(map[string]float64)
	cells := make(map[string]string)
	for name, rounds := range results {
		if len(rounds) > 0 {
			values[name] = medianOf(rounds, r.value)
			cells[name] = number(values[name])
		}
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", r.what, cells[comet], cells[nchan], cells[bare], r.target(), r.verdict(values, results[comet]))
}

func (r row) target() string {
	var texts []string
	for _, b := range r.bounds {
		texts = append(texts, b.String())
	}
	return strings.Join(texts, ", ")
}

// verdict is empty where there is no target, or a server is missing that the
// target needs.
func (r row) verdict(values map[string]float64, rounds []*bench.Result) string {
	met := "yes"
	for _, b := range r.bounds {
		_, own := values[comet]
		_, other := values[b.of]
		if !own || b.of != "" && !other {
			return ""
		}
		if !b.holds(values[comet], values) {
			met = "no"
		}
	}
	trouble := troubles(rounds)
	switch {
	case len(r.bounds) == 0:
		return ""
	case !trouble.None():
		return "no: see below"
	}
	return met
}

func medianOf(rounds []*bench.Result, value func(*bench.Result) float64) float64 {
	var values []float64
	for _, r := range rounds {
		values = append(values, value(r))
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// number has about three digits, and commas between thousands.
func number(x float64) string {
	switch {
	case x >= 1000:
		digits := fmt.Sprintf("%.0f", x)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return digits
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// troubles is the sum over the rounds.
func troubles(rounds []*bench.Result) (sum bench.Trouble) {
	for _, r := range rounds {
		sum.Lost += r.Trouble.Lost
		sum.Repeated += r.Trouble.Repeated
		sum.OutOfOrder += r.Trouble.OutOfOrder
		sum.Unknown += r.Trouble.Unknown
		sum.Gaps += r.Trouble.Gaps
		sum.Orders += r.Trouble.Orders
		for kind, n := range r.Trouble.Errors {
			if sum.Errors == nil {
				sum.Errors = make(map[string]int64)
			}
			sum.Errors[kind] += n
		}
	}
	return sum
}

func troubleText(t bench.Trouble) string {
	var parts []string
	add := func(count int64, what string) {
		if count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, what))
		}
	}
	add(t.Lost, "deliveries missing")
	add(t.Repeated, "repeated")
	add(t.OutOfOrder, "out of order")
	add(t.Unknown, "of unknown messages")
	add(t.Gaps, "gaps")
	add(int64(t.Orders), "channels with different orders")
	for _, kind := range slices.Sorted(maps.Keys(t.Errors)) {
		add(t.Errors[kind], "errors: "+kind)
	}
	return strings.Join(parts, ", ")
}
