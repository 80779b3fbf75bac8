package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"comet/bench"
	"comet/bench/report"
)

// progress shows the progress of a run. Its methods are not called
// concurrently.
type progress interface {
	show(bench.Second)
	end() // clears the display
}

// newProgress returns a bar for a terminal, else lines.
func newProgress(w io.Writer, p *bench.Plan) progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return newBar(f, p)
	}
	return &lines{w: w}
}

// lines writes a line at the start of each phase, and every few seconds.
type lines struct {
	w     io.Writer
	phase string
	at    float64 // of the last line
}

// linesApart is the time between two lines in a phase, in seconds.
const linesApart = 5

func (l *lines) show(s bench.Second) {
	if s.Phase == l.phase && s.At < l.at+linesApart {
		return
	}
	l.phase, l.at = s.Phase, s.At
	fmt.Fprintf(l.w, "%4.0f s  %-7s %s\n", s.At, s.Phase, report.Line(&s))
}

func (l *lines) end() {}

// bar is a line on a terminal with the share of the phase that is done.
type bar struct {
	w         io.Writer
	columns   func() int // of the terminal
	plan      *bench.Plan
	phase     string
	began     float64 // of the phase, in seconds
	published int
	shown     int // bytes of the line on the terminal
}

func newBar(terminal *os.File, p *bench.Plan) *bar {
	return &bar{w: terminal, plan: p, columns: func() int {
		columns, _, err := term.GetSize(int(terminal.Fd()))
		if err != nil {
			return 80
		}
		return columns
	}}
}

func (b *bar) show(s bench.Second) {
	if s.Phase != b.phase {
		b.phase, b.began = s.Phase, s.At-1
	}
	b.published += s.Published
	share := min(max(b.share(&s), 0), 1)
	text := fmt.Sprintf("%3.0f%% |%-8s| %s %s", 100*share, strings.Repeat("#", int(8*share)), s.Phase, report.Line(&s))
	// A line longer than the terminal would wrap.
	text = text[:min(len(text), max(0, b.columns()-1))]
	fmt.Fprintf(b.w, "\r%-*s", b.shown, text) // overwrite the last line
	b.shown = len(text)
}

// share returns the share of the phase that is done.
func (b *bar) share(s *bench.Second) float64 {
	switch p := b.plan; {
	case s.Phase == "arrive":
		return float64(s.Connected) / float64(max(p.Subscribers, 1))
	case s.Phase == "settle" && p.Settle > 0:
		return (s.At - b.began) / p.Settle.Seconds()
	case s.Phase == "deliver" && p.Messages > 0:
		return float64(b.published) / float64(p.Messages)
	case s.Phase == "deliver" && p.Duration > 0:
		return (s.At - b.began) / p.Duration.Seconds()
	}
	return 1
}

func (b *bar) end() { fmt.Fprintf(b.w, "\r%*s\r", b.shown, "") }
