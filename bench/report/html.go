package report

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"comet/bench"
	"comet/gateway/web/uplot"
)

var reportPage = newPage("report.html")

// report is what report.html shows.
type report struct {
	page
	*bench.Result
	Headline, Of string
	Tone         string // of the headline: good, bad or neither
	Tiles        []tile
	Charts       []chart
	Sections     []section
	Columns      []string
	Latencies    []latencyRow
	// Data is all of the result, as JSON in which <, > and & are escaped.
	Data template.JS
}

// tile is a key number.
type tile struct{ Name, Value, Unit, Note string }

// chart is a figure that report.js draws; ID says which of its charts.
type chart struct{ ID, Title, About string }

// WriteHTML writes r as a page that needs nothing else. An error is w's, or a
// number in r that JSON does not have, as NaN.
func WriteHTML(w io.Writer, r *bench.Result) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	text, of := headline(r)
	return write(w, reportPage, report{
		page:      makePage(text, uplot.JS, pageJS),
		Result:    r,
		Headline:  text,
		Of:        of,
		Tone:      toneOf(r),
		Tiles:     tilesOf(r),
		Charts:    chartsOf(r),
		Sections:  factsOf(r),
		Columns:   latencyColumns,
		Latencies: latenciesOf(r),
		Data:      template.JS(data),
	})
}

// toneOf is bad for trouble with messages, and good if there was none and the
// run did what it was to do.
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
	add(d.Received > 0, "Bytes a delivery", sizeText(d.BytesEach), number(d.RequestsEach)+" requests")
	add(p.Latency.Count > 0, "Publish, p99", number(p.Latency.P99)+" ms", fmt.Sprintf("%s accepted, %s", count(p.Acknowledged), perSecond(p.PerSecond)))
	add(r.Resume.Count > 0, "Resume, p99", number(r.Resume.P99)+" ms", plural(r.Resume.Count, "reconnect"))
	add(c.DeliveryMicros > 0, "CPU a delivery", number(c.DeliveryMicros)+" µs", "of the server, "+number(c.ServerCPUSeconds)+" s in all")
	add(c.IdleKiB > 0, "Memory a subscriber", number(c.IdleKiB)+" KiB", "of the server, while idle")
	return tiles
}

// chartsOf is the charts for which r has data.
func chartsOf(r *bench.Result) (charts []chart) {
	some := func(has func(bench.Second) bool) bool { return slices.ContainsFunc(r.Timeline, has) }
	add := func(has bool, c chart) {
		if has {
			charts = append(charts, c)
		}
	}
	add(len(r.Timeline) > 0, chart{"connections", "Connections", "subscribers that are in, and connects a second"})
	add(some(func(s bench.Second) bool { return s.P50 > 0 }),
		chart{"latency", "Delivery latency", "from the time a message was due until it was read, in each second"})
	add(some(func(s bench.Second) bool { return s.Deliveries > 0 || s.Published > 0 }),
		chart{"rates", "Messages", "deliveries and publishes a second"})
	add(slices.ContainsFunc(latenciesOf(r), func(l latencyRow) bool { return len(l.Curve) > 0 }),
		chart{"distribution", "Latency distribution", "what a share of all does not exceed, over the whole run"})
	add(some(func(s bench.Second) bool { return s.ServerCPU > 0 || s.ServerMiB > 0 }),
		chart{"server", "Server", "processor cores and memory"})
	add(some(func(s bench.Second) bool { return s.Errors > 0 || s.Missing > 0 }),
		chart{"trouble", "Trouble", "errors a second, and messages still missing"})
	return charts
}
