package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// isTerminal reports whether stream, an io.Reader or io.Writer, is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// reorders reports whether r changes the order in which a terminal shows what
// follows it on the line (the embeddings, overrides and isolates of Unicode
// Standard Annex #9).
func reorders(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }

// escaped returns text with the characters for which bad is true written as in a
// Go string: \x1b for one.
func escaped(text string, bad func(rune) bool) string {
	if !strings.ContainsFunc(text, bad) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if !bad(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// oneLine returns text of others so that it can be shown on one line: it neither
// controls the terminal nor looks like several lines. A tab stays.
func oneLine(text string) string {
	return escaped(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' || reorders(r) || r == '\u2028' || r == '\u2029'
	})
}

// severalLines is like oneLine, but line ends stay.
func severalLines(text string) string {
	return escaped(text, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' || reorders(r) })
}

// safeJSON returns an equivalent JSON text that does not control the terminal. JSON
// itself escapes the control characters below the space alone, so what is left
// can only be within strings.
func safeJSON(text []byte) []byte {
	bad := func(r rune) bool { return r >= 0x7F && r <= 0x9F || reorders(r) }
	if !bytes.ContainsFunc(text, bad) {
		return text
	}
	var b []byte
	for _, r := range string(text) {
		if bad(r) {
			b = fmt.Appendf(b, `\u%04x`, r)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// printable keeps a foreign name or token from controlling the terminal.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
