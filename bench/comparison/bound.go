//go:build linux

package main

import "fmt"

// bound is a part of a target: a number, or a factor of another server's value in
// the same run.
type bound struct {
	sign   string // ≤, ≥ or <
	factor float64
	of     string // a server; none: factor is the number
}

func atMost(x float64) bound    { return bound{sign: "≤", factor: x} }
func atLeast(x float64) bound   { return bound{sign: "≥", factor: x} }
func below(server string) bound { return bound{sign: "<", factor: 1, of: server} }

func (b bound) times(server string) bound {
	b.of = server
	return b
}

func (b bound) String() string {
	switch {
	case b.of == "":
		return fmt.Sprintf("%s %.1f", b.sign, b.factor)
	case b.factor == 1:
		return b.sign + " " + b.of
	}
	return fmt.Sprintf("%s %g × %s", b.sign, b.factor, b.of)
}

// holds reports whether value is within b; values are the others', by server.
func (b bound) holds(value float64, values map[string]float64) bool {
	limit := b.factor
	if b.of != "" {
		limit *= values[b.of]
	}
	switch b.sign {
	case "≤":
		return value <= limit
	case "≥":
		return value >= limit
	default:
		return value < limit
	}
}
