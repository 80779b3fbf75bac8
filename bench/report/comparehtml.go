package report

import (
	"io"

	"comet/bench"
)

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

// WriteComparisonHTML writes the rows as a page of bar charts, without scripts or
// other files. about is a sentence about the load of all runs. It returns only
// errors of w.
func WriteComparisonHTML(w io.Writer, rows []Row, about string) error {
	lost := int64(0)
	for _, r := range rows {
		lost += r.Lost
	}
	const title = "Short polls, long-polls and streams compared"
	p := newPage(title, nil, []string{pageCSS})
	p.add(`<header>
  <div>
    <h1>%s</h1>
    <p>%s Messages lost: %s. Shorter is better.</p>
  </div>
  <p class="when">comet bench compare</p>
</header>
<main>
<section class="charts">
`, title, about, count(lost))
	for _, m := range measuresOf(rows) {
		if m.charted {
			p.addBlock(m.block(rows))
		}
	}
	p.addTrusted("</section>\n</main>\n")
	return p.write(w, nil)
}

func (p *page) addBlock(b block) {
	p.add("  <figure><figcaption><h2>%s</h2></figcaption>\n", b.Title)
	for _, g := range b.Groups {
		p.add("    <h3>%s</h3>\n    <table class=\"bars\">\n", g.Clients)
		for _, bar := range g.Bars {
			p.add("      <tr><th scope=\"row\">%s</th>", bar.Transport)
			p.add("<td class=\"bar\"><svg viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"%s\" width=\"%.2f\" height=\"1\"/></svg></td>", bar.Transport, bar.Percent)
			p.add("<td>%s</td></tr>\n", bar.Value)
		}
		p.addTrusted("    </table>\n")
	}
	p.addTrusted("  </figure>\n")
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
