// Package report shows what a load test found out: as a table for a terminal,
// as a page for a browser, and several runs side by side.
//
// The pages are one file each and ask for nothing else: a policy in them lets
// the browser run the scripts that this package embeds, and no other.
package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comet/bench"
)

// section is some facts under a title.
type section struct {
	Title string
	Facts []fact
}

// fact is a line of a table: a name, and a value with its unit.
type fact struct{ Name, Value string }

// factsOf returns the facts of r besides latencies, in the order of the run. It
// leaves out facts that were not measured, and trouble that did not occur.
func factsOf(r *bench.Result) []section {
	sections := []section{
		{"load", loadFacts(r)},
		{"arrival", arrivalFacts(r)},
		{"publish", publishFacts(&r.Publish)},
		{"delivery", deliveryFacts(&r.Delivery)},
		{"trouble", troubleFacts(&r.Trouble)},
		{"cost", costFacts(&r.Cost)},
	}
	return slices.DeleteFunc(sections, func(s section) bool { return len(s.Facts) == 0 })
}

func loadFacts(r *bench.Result) []fact {
	p := &r.Plan
	facts := []fact{
		{"server", fmt.Sprintf("%s at %s", p.Target.Preset, nodesText(p.Target.Nodes))},
		{"subscribers", fmt.Sprintf("%s of %s by %s", count(p.Subscribers), plural(p.Channels, "channel"), transportText(p))},
		{"messages", messagesText(p)},
	}
	if p.Churn > 0 {
		facts = append(facts, fact{"churn", number(p.Churn*100) + "% per second"})
	}
	return append(facts,
		fact{"seed", fmt.Sprint(p.Seed)},
		fact{"run", fmt.Sprintf("%s, %s, comet %s", seconds(r.Seconds), plural(r.Workers, "worker"), r.Version)})
}

// nodesText names two nodes, or the first and how many more there are.
func nodesText(nodes []string) string {
	if len(nodes) <= 2 {
		return strings.Join(nodes, ", ")
	}
	return fmt.Sprintf("%s and %d more", nodes[0], len(nodes)-1)
}

func transportText(p *bench.Plan) string {
	if p.Transport == bench.ShortPoll {
		return fmt.Sprintf("%s every %s", p.Transport, p.Interval)
	}
	return string(p.Transport)
}

func messagesText(p *bench.Plan) string {
	if p.Messages == 0 && p.Duration == 0 {
		return "none"
	}
	what := "flat out"
	if p.Rate > 0 {
		what = number(p.Rate) + "/s"
	}
	if p.Messages > 0 {
		what = plural(p.Messages, "message") + ", " + what
	}
	if p.Duration > 0 {
		what += " for " + p.Duration.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%s, %s each, %s", what, sizeText(float64(p.Size)), plural(p.Publishers, "publisher"))
}

func arrivalFacts(r *bench.Result) []fact {
	return []fact{
		{"subscribers", fmt.Sprintf("%s of %s", count(r.Arrival.Subscribers), count(r.Plan.Subscribers))},
		{"time", seconds(r.Arrival.Seconds)},
		{"rate", perSecond(r.Arrival.PerSecond)},
	}
}

func publishFacts(p *bench.Publish) []fact {
	if p.Acknowledged+p.Failed+p.Unknown == 0 {
		return nil
	}
	facts := []fact{
		{"acknowledged", count(p.Acknowledged)},
		{"rate", perSecond(p.PerSecond)},
	}
	return append(facts, nonZero(
		counted{"refused", int64(p.Failed)},
		counted{"outcome unknown", int64(p.Unknown)},
		counted{"repeated by the publisher", int64(p.Retried)})...)
}

func deliveryFacts(d *bench.Delivery) []fact {
	if d.Expected == 0 && d.Received == 0 {
		return nil
	}
	return []fact{
		{"received", fmt.Sprintf("%s of %s", count(d.Received), count(d.Expected))},
		{"rate", perSecond(d.PerSecond)},
		{"bytes each", sizeText(d.BytesEach)},
		{"requests each", number(d.RequestsEach)},
	}
}

// troubleFacts is what went wrong; lost messages are the headline's.
func troubleFacts(t *bench.Trouble) []fact {
	facts := nonZero(append(disorder(t),
		counted{"of no publish of this run", t.Unknown},
		counted{"gaps", t.Gaps})...)
	var kinds []counted
	for kind, n := range t.Errors {
		kinds = append(kinds, counted{"errors: " + kind, n})
	}
	slices.SortFunc(kinds, func(a, b counted) int { // the most first
		if a.n != b.n {
			return int(min(max(b.n-a.n, -1), 1))
		}
		return strings.Compare(a.name, b.name)
	})
	return append(facts, nonZero(kinds...)...)
}

func costFacts(c *bench.Cost) []fact {
	var facts []fact
	add := func(name string, value float64, unit string) {
		if value > 0 {
			facts = append(facts, fact{name, number(value) + unit})
		}
	}
	add("server CPU per arrival", c.ConnectMicros, " µs")
	add("server memory per subscriber", c.IdleKiB, " KiB")
	add("server CPU per delivery", c.DeliveryMicros, " µs")
	add("server CPU while delivering", c.ServerCPUSeconds, " s")
	add("store CPU per delivery", c.StoreMicros, " µs")
	add("generator CPU per delivery", c.GeneratorMicros, " µs")
	add("generator memory per subscriber", c.GeneratorKiB, " KiB")
	add("generator load", c.GeneratorLoad*100, "% of a core per worker")
	return facts
}

// counted is how often something happened.
type counted struct {
	name string
	n    int64
}

func nonZero(counts ...counted) (facts []fact) {
	for _, c := range counts {
		if c.n != 0 {
			facts = append(facts, fact{c.name, count(c.n)})
		}
	}
	return facts
}

// latencyRow is a distribution under its name.
type latencyRow struct {
	Name string
	bench.Latency
}

// Cells are the row's percentiles, in milliseconds, in the order of
// latencyColumns.
func (r latencyRow) Cells() []string {
	return []string{number(r.P50), number(r.P90), number(r.P99), number(r.P999), number(r.Max)}
}

var latencyColumns = []string{"p50", "p90", "p99", "p99.9", "max"}

// latenciesOf is the distributions that r has.
func latenciesOf(r *bench.Result) []latencyRow {
	rows := []latencyRow{
		{"delivery", r.Delivery.Latency},
		{"publish", r.Publish.Latency},
		{"resume", r.Resume},
	}
	return slices.DeleteFunc(rows, func(r latencyRow) bool { return r.Count == 0 })
}

// headline is the one number that counts, and what it is of, with the other
// things that must not happen to a message.
func headline(r *bench.Result) (text, of string) {
	t := &r.Trouble
	text = "messages lost: " + count(t.Lost)
	of = "nothing was to be delivered"
	if r.Delivery.Expected > 0 {
		of = "of " + count(r.Delivery.Expected) + " to deliver"
	}
	for _, f := range nonZero(disorder(t)...) {
		of += fmt.Sprintf(", %s: %s", f.Name, f.Value)
	}
	return text, of
}

// disorder counts what a perfect run has none of, besides lost messages.
func disorder(t *bench.Trouble) []counted {
	return []counted{
		{"repeated", t.Repeated},
		{"out of order", t.OutOfOrder},
		{"channels with several orders", int64(t.Orders)},
	}
}
