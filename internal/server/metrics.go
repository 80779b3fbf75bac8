package server

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"comet/gateway"
	"comet/gateway/conn"
	"comet/internal/metrics"
	"comet/pubsub"
	"comet/pubsub/redisbroker"
)

// metric is a row of the table of what is exported.
type metric struct {
	name   string
	help   string
	kind   prometheus.ValueType // of all but histograms, which emit otherwise
	labels []string
	// collect emits a value for each combination of labels that there can be,
	// also where it is zero.
	collect func(*snapshot, emitter)
}

// snapshot is what the parts of a node have counted.
type snapshot struct {
	node     *node
	gateway  gateway.Stats
	held     conn.Stats // by the parker
	listener conn.ListenerStats
	hub      pubsub.Stats
	redis    redisbroker.Stats
}

func (n *node) snapshot() *snapshot {
	s := &snapshot{
		node:     n,
		held:     n.parker.Stats(),
		gateway:  n.gateway.Stats(),
		listener: n.listener.Stats(),
		hub:      n.hub.Stats(),
	}
	if b, ok := n.broker.(interface{ Stats() redisbroker.Stats }); ok {
		s.redis = b.Stats()
	}
	return s
}

// newMetrics serves the metrics of n, which is the process's only node. This
// file and its table alone export: packages just count, and have a Stats.
func newMetrics(n *node, logger *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		newCollector(n),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	})
}

// collector is a prometheus.Collector of the table.
type collector struct {
	node  *node
	descs []*prometheus.Desc // of metrics
}

func newCollector(n *node) *collector {
	c := &collector{node: n}
	for _, m := range metricTable {
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, m.labels, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector. It may be called concurrently.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.node.snapshot()
	for i, m := range metricTable {
		m.collect(s, emitter{c.descs[i], m.kind, out})
	}
}

// emitter takes the values of one metric.
type emitter struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	out  chan<- prometheus.Metric
}

func (e emitter) value(v float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(e.desc, e.kind, v, labels...)
}

func (e emitter) count(n int64, labels ...string) { e.value(float64(n), labels...) }

// truth is 1 or 0.
func (e emitter) truth(is bool) {
	if is {
		e.count(1)
		return
	}
	e.count(0)
}

func (e emitter) latency(s metrics.LatencyStats) {
	var total uint64
	buckets := make(map[float64]uint64, len(metrics.LatencyBounds))
	for i, bound := range metrics.LatencyBounds {
		total += uint64(s.Counts[i])
		buckets[bound.Seconds()] = total
	}
	total += uint64(s.Counts[len(s.Counts)-1])
	e.out <- prometheus.MustNewConstHistogram(e.desc, total, s.Sum.Seconds(), buckets)
}

// emitAll emits a value for each key.
func emitAll[K ~string](e emitter, counts map[K]int64, labels ...string) {
	for key, n := range counts {
		e.count(n, append(labels, string(key))...)
	}
}
