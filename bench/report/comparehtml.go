package report

import (
	"io"

	"comet/bench"
)

var comparePage = newPage("compare.html")

// compared is what compare.html shows: a block for each measure.
type compared struct {
	page
	About  string
	Lost   string
	Blocks []block
}

// block is the bars of one measure.
type block struct {
	Title  string
	Groups []bars
}

// bars is a bar for each transport, at one number of subscribers.
type bars struct {
	Clients string
	Bars    []bar
}

// bar is one value; Percent is its part of the largest of its block.
type bar struct {
	Transport bench.Transport
	Value     string
	Percent   float64
}

// WriteComparisonHTML writes the rows as a page of bar charts that needs
// nothing else, not even scripts. About is a sentence on what all runs had in
// common. The only errors are w's.
func WriteComparisonHTML(w io.Writer, rows []Row, about string) error {
	lost := int64(0)
	for _, r := range rows {
		lost += r.Lost
	}
	c := compared{page: makePage("Short polls, long-polls and streams compared"), About: about, Lost: count(lost)}
	for _, m := range measuresOf(rows) {
		if m.charted {
			c.Blocks = append(c.Blocks, m.block(rows))
		}
	}
	return write(w, comparePage, c)
}

func (m *measure) block(rows []Row) block {
	largest := 0.0
	for _, r := range rows {
		largest = max(largest, m.value(&r))
	}
	b := block{Title: m.title()}
	for _, g := range groupsOf(rows) {
		chart := bars{Clients: plural(g.Subscribers, "client")}
		for _, r := range g.Rows {
			one := bar{Transport: r.Transport, Value: m.text(&r)}
			if largest > 0 {
				one.Percent = 100 * m.value(&r) / largest
			}
			chart.Bars = append(chart.Bars, one)
		}
		b.Groups = append(b.Groups, chart)
	}
	return b
}
