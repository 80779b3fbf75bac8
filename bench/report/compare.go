package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"comet/bench"
)

// Row is a run in a comparison: the numbers by which a transport is judged.
type Row struct {
	Transport   bench.Transport
	Subscribers int
	// RequestsPerSecond is the requests of a subscriber per second of the run. The
	// one that connects is among them.
	RequestsPerSecond float64
	// Per delivery: requests, bytes with all of HTTP, and CPU of the server in
	// microseconds; 0 CPU: not measured.
	RequestsEach, BytesEach, MicrosEach float64
	// Core is the server's CPU while delivering, as a share of one core.
	Core float64
	// P50 and P99 of the delivery latency, in milliseconds.
	P50, P99 float64
	Lost     int64 // messages
}

// NewRow is r's row.
func NewRow(r *bench.Result) Row {
	row := Row{
		Transport: r.Plan.Transport, Subscribers: r.Plan.Subscribers,
		RequestsEach: r.Delivery.RequestsEach, BytesEach: r.Delivery.BytesEach, MicrosEach: r.Cost.DeliveryMicros,
		P50: r.Delivery.Latency.P50, P99: r.Delivery.Latency.P99,
		Lost: r.Trouble.Lost,
	}
	if r.Delivery.Seconds > 0 {
		row.Core = r.Cost.ServerCPUSeconds / r.Delivery.Seconds
	}
	if r.Seconds > 0 {
		row.RequestsPerSecond = float64(r.Delivery.Requests) / r.Seconds / float64(max(r.Plan.Subscribers, 1))
	}
	return row
}

// measure is a thing to compare.
type measure struct {
	Name  string
	Unit  string
	value func(*Row) float64
	// zero is a value, not "not measured".
	zero bool
	// charted measures have bars on the page.
	charted bool
}

var measures = []measure{
	{"requests per client and second", "", func(r *Row) float64 { return r.RequestsPerSecond }, true, true},
	{"requests per delivery", "", func(r *Row) float64 { return r.RequestsEach }, true, true},
	{"bytes per delivery", "B", func(r *Row) float64 { return r.BytesEach }, false, true},
	{"server CPU per delivery", "µs", func(r *Row) float64 { return r.MicrosEach }, false, true},
	{"server CPU", "% of a core", func(r *Row) float64 { return r.Core * 100 }, false, true},
	{"latency p50", "ms", func(r *Row) float64 { return r.P50 }, false, true},
	{"latency p99", "ms", func(r *Row) float64 { return r.P99 }, false, true},
	{"messages lost", "", func(r *Row) float64 { return float64(r.Lost) }, true, false},
}

// measuresOf is the measures that at least one row has.
func measuresOf(rows []Row) []measure {
	return slices.DeleteFunc(slices.Clone(measures), func(m measure) bool {
		return !m.zero && !slices.ContainsFunc(rows, func(r Row) bool { return m.value(&r) != 0 })
	})
}

// title is the name with the unit.
func (m *measure) title() string {
	if m.Unit == "" {
		return m.Name
	}
	return m.Name + ", " + m.Unit
}

// text is the measure's value of r, or a dash.
func (m *measure) text(r *Row) string {
	x := m.value(r)
	if x == 0 && !m.zero {
		return "–"
	}
	return number(x)
}

// WriteComparison writes the rows, in their order, as aligned text of some 80
// columns: a block for each number of subscribers, a column for each
// transport. The only errors are w's.
func WriteComparison(w io.Writer, rows []Row) error {
	var b strings.Builder
	for i, g := range groupsOf(rows) {
		if i > 0 {
			b.WriteByte('\n')
		}
		writeAligned(&b, g.lines())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteComparisonMarkdown writes the rows as one Markdown table. The only
// errors are w's.
func WriteComparisonMarkdown(w io.Writer, rows []Row) error {
	var b strings.Builder
	shown := measuresOf(rows)
	b.WriteString("| transport | clients |")
	for _, m := range shown {
		fmt.Fprintf(&b, " %s |", m.title())
	}
	b.WriteString("\n|---|--:|" + strings.Repeat("--:|", len(shown)) + "\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s |", r.Transport, count(r.Subscribers))
		for _, m := range shown {
			fmt.Fprintf(&b, " %s |", m.text(&r))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// group is the rows of one number of subscribers.
type group struct {
	Subscribers int
	Rows        []Row
}

// groupsOf is the groups in the order in which they first come.
func groupsOf(rows []Row) (groups []group) {
	at := make(map[int]int)
	for _, r := range rows {
		i, ok := at[r.Subscribers]
		if !ok {
			i = len(groups)
			at[r.Subscribers] = i
			groups = append(groups, group{Subscribers: r.Subscribers})
		}
		groups[i].Rows = append(groups[i].Rows, r)
	}
	return groups
}

// lines is the group with a line for each measure.
func (g *group) lines() [][]string {
	header := []string{plural(g.Subscribers, "client")}
	for _, r := range g.Rows {
		header = append(header, string(r.Transport))
	}
	lines := [][]string{header}
	for _, m := range measuresOf(g.Rows) {
		line := []string{m.title()}
		for _, r := range g.Rows {
			line = append(line, m.text(&r))
		}
		lines = append(lines, line)
	}
	return lines
}
