package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"comet/bench"
	"comet/gateway/web/uplot"
)

// tile is a key number.
type tile struct{ Name, Value, Unit, Note string }

// chart is a figure that report.js draws; ID names one of its charts.
type chart struct{ ID, Title, About string }

// WriteHTML writes r as a page that needs no other file. It returns errors of w,
// and an error for a number in r that JSON does not have, like NaN.
func WriteHTML(w io.Writer, r *bench.Result) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	scripts := []string{uplot.JS, pageJS}
	title, of := headline(r)
	if r.Interrupted {
		of += "; the run was interrupted"
	}
	p := newPage(title, scripts, []string{uplot.CSS, pageCSS})
	p.add(`<header class="%s">
  <div>
    <h1>%s</h1>
    <p>%s</p>
  </div>
  <p class="when">comet bench · <time datetime="%s">%s</time></p>
</header>
<main>
`, toneOf(r), title, of, r.Began.Format(time.RFC3339), r.Began.Format("2006-01-02 15:04 MST"))
	p.addWarnings(r.Warnings)
	p.addTiles(tilesOf(r))
	p.addCharts(chartsOf(r))
	p.addTrusted("<section class=\"facts\">\n")
	p.addLatencies(latenciesOf(r))
	p.addFacts(factsOf(r))
	p.addTrusted("</section>\n</main>\n")
	// Marshal has escaped <, > and &.
	p.addTrusted("<script id=\"result\" type=\"application/json\">", string(data), "</script>\n")
	return p.write(w, scripts)
}

func (p *page) addWarnings(warnings []string) {
	if len(warnings) == 0 {
		return
	}
	p.addTrusted("<section class=\"warnings\">\n")
	for _, text := range warnings {
		p.add("  <p>%s</p>\n", text)
	}
	p.addTrusted("</section>\n")
}

func (p *page) addTiles(tiles []tile) {
	p.addTrusted("<section class=\"tiles\">\n")
	for _, t := range tiles {
		p.add("  <div class=\"tile\"><h2>%s</h2><p class=\"value\">%s<small>%s</small></p><p>%s</p></div>\n", t.Name, t.Value, t.Unit, t.Note)
	}
	p.addTrusted("</section>\n")
}

func (p *page) addCharts(charts []chart) {
	p.addTrusted("<section class=\"charts\">\n")
	for _, c := range charts {
		p.add("  <figure data-chart=\"%s\"><figcaption><h2>%s</h2><p>%s</p></figcaption><div class=\"plot\"></div></figure>\n", c.ID, c.Title, c.About)
	}
	p.addTrusted("</section>\n<noscript><p>The charts need JavaScript.</p></noscript>\n")
}

func (p *page) addLatencies(rows []latencyRow) {
	if len(rows) == 0 {
		return
	}
	p.addTrusted("  <div class=\"card\"><h2>Latency, ms</h2><div class=\"wide\"><table class=\"latency\">\n    <thead><tr><th></th>")
	for _, name := range latencyColumns {
		p.add("<th scope=\"col\">%s</th>", name)
	}
	p.addTrusted("</tr></thead>\n    <tbody>")
	for _, row := range rows {
		p.add("<tr><th scope=\"row\">%s</th>", row.Name)
		for _, cell := range row.Cells() {
			p.add("<td>%s</td>", cell)
		}
		p.addTrusted("</tr>")
	}
	p.addTrusted("</tbody>\n  </table></div></div>\n")
}

func (p *page) addFacts(sections []section) {
	for _, s := range sections {
		p.add("  <div class=\"card\"><h2>%s</h2><dl>", s.Title)
		for _, f := range s.Facts {
			p.add("<div><dt>%s</dt><dd>%s</dd></div>", f.Name, f.Value)
		}
		p.addTrusted("</dl></div>\n")
	}
}

// toneOf returns bad after trouble with messages, and good after a run without
// trouble that did all of its plan.
func toneOf(r *bench.Result) string {
	switch t := &r.Trouble; {
	case t.Lost > 0 || len(nonZero(disorder(t)...)) > 0:
		return "bad"
	case r.Arrival.Subscribers < r.Plan.Subscribers || r.Publish.Failed > 0:
		return ""
	}
	return "good"
}

func tilesOf(r *bench.Result) (tiles []tile) {
	add := func(has bool, name, value, note string) {
		if !has {
			return
		}
		t := tile{Name: name, Note: note}
		t.Value, t.Unit, _ = strings.Cut(value, " ")
		tiles = append(tiles, t)
	}
	d, p, c := &r.Delivery, &r.Publish, &r.Cost
	add(true, "Subscribers", count(r.Arrival.Subscribers), fmt.Sprintf("in %s, %s", seconds(r.Arrival.Seconds), perSecond(r.Arrival.PerSecond)))
	add(d.Received > 0, "Deliveries", number(d.PerSecond)+" /s", count(d.Received)+" in all")
	add(d.Latency.Count > 0, "Delivery, p99", number(d.Latency.P99)+" ms", fmt.Sprintf("p50 %s, max %s", number(d.Latency.P50), number(d.Latency.Max)))
	add(d.Received > 0, "Bytes per delivery", sizeText(d.BytesEach), number(d.RequestsEach)+" requests")
	add(p.Latency.Count > 0, "Publish, p99", number(p.Latency.P99)+" ms", fmt.Sprintf("%s accepted, %s", count(p.Acknowledged), perSecond(p.PerSecond)))
	add(r.Resume.Count > 0, "Resume, p99", number(r.Resume.P99)+" ms", plural(r.Resume.Count, "reconnect"))
	add(c.DeliveryMicros > 0, "CPU per delivery", number(c.DeliveryMicros)+" µs", "of the server, "+number(c.ServerCPUSeconds)+" s in all")
	add(c.IdleKiB > 0, "Memory per subscriber", number(c.IdleKiB)+" KiB", "of the server, while idle")
	return tiles
}

// chartsOf returns the charts for which r has data.
func chartsOf(r *bench.Result) (charts []chart) {
	some := func(has func(bench.Second) bool) bool { return slices.ContainsFunc(r.Timeline, has) }
	add := func(has bool, c chart) {
		if has {
			charts = append(charts, c)
		}
	}
	add(len(r.Timeline) > 0, chart{"connections", "Connections", "connected subscribers, and connects per second"})
	add(some(func(s bench.Second) bool { return s.P50 > 0 }),
		chart{"latency", "Delivery latency", "between the time a message was due and its read, per second"})
	add(some(func(s bench.Second) bool { return s.Deliveries > 0 || s.Published > 0 }),
		chart{"rates", "Messages", "deliveries and publishes per second"})
	add(slices.ContainsFunc(latenciesOf(r), func(l latencyRow) bool { return len(l.Curve) > 0 }),
		chart{"distribution", "Latency distribution", "latency by percentile, over the whole run"})
	add(some(func(s bench.Second) bool { return s.ServerCPU > 0 || s.ServerMiB > 0 }),
		chart{"server", "Server", "processor cores and memory"})
	add(some(func(s bench.Second) bool { return s.Errors > 0 || s.Missing > 0 }),
		chart{"trouble", "Trouble", "errors per second, and messages still missing"})
	return charts
}
