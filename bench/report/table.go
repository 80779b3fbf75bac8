package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"comet/bench"
)

// WriteTable writes r as text for people: the headline, the measurements, and the
// warnings. It returns only errors of w.
func WriteTable(w io.Writer, r *bench.Result) error {
	var b strings.Builder
	text, of := headline(r)
	fmt.Fprintf(&b, "%s (%s)\n", text, of)
	if r.Interrupted {
		b.WriteString("interrupted: these are the results so far\n")
	}
	b.WriteByte('\n')
	writeFacts(&b, factsOf(r))
	writeLatencies(&b, latenciesOf(r))
	if len(r.Warnings) > 0 {
		b.WriteByte('\n')
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeFacts writes sections as three columns: title, name, value.
func writeFacts(w io.Writer, sections []section) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range sections {
		title := s.Title
		for _, f := range s.Facts {
			fmt.Fprintf(columns, "%s\t%s\t%s\n", title, f.Name, f.Value)
			title = ""
		}
	}
	columns.Flush() // into memory
}

func writeLatencies(w io.Writer, rows []latencyRow) {
	if len(rows) == 0 {
		return
	}
	cells := [][]string{append([]string{"latency, ms"}, latencyColumns...)}
	for _, row := range rows {
		cells = append(cells, append([]string{row.Name}, row.Cells()...))
	}
	fmt.Fprintln(w)
	writeAligned(w, cells)
}

// writeAligned writes rows of cells, with the first column aligned left and the
// others, numbers, aligned right.
func writeAligned(w io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		fmt.Fprintf(w, "%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			fmt.Fprintf(w, "  %*s", widths[i+1], cell)
		}
		fmt.Fprintln(w)
	}
}
