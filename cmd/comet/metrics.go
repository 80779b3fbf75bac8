package main

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"comet/gateway/limit"
)

// Every metric of Comet's own; docs/operations.md has the same table.
var (
	connections = prometheus.NewDesc("comet_connections",
		"Open connections of clients, whatever they wait for.", nil, nil)
	connectionsRefused = prometheus.NewDesc("comet_connections_refused_total",
		"Refused by reason: connections over the descriptors (ulimit -n), or streams and polls over the limit (limits.connections).",
		[]string{"reason"}, nil)
	limitHits = prometheus.NewDesc("comet_limit_hits_total",
		"Requests, streams, polls and publishes that were refused because a client met its limit.", []string{"limit"}, nil)
	probeAge = prometheus.NewDesc("comet_relay_probe_age_seconds",
		"How long ago the oldest of the relay connections' newest probes came back; -1 while one has none, 0 without Redis.", nil, nil)
	buildInfo = prometheus.NewDesc("comet_build_info",
		"Always 1; the version of Comet, and of the Go that built it.", []string{"version", "go"}, nil)
)

// Values of the label reason.
const (
	reasonDescriptors = "descriptors"
	reasonLimit       = "limit"
)

// newMetrics serves the metrics of n, which is the process's only node. This
// file alone exports: packages just count, and have a Stats.
func newMetrics(n *node, logger *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{n},
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	})
}

// collector is a prometheus.Collector of what the node's parts count.
type collector struct{ node *node }

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect implements prometheus.Collector. It may be called concurrently.
func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	listener := c.node.listener.Stats()
	gauge(connections, float64(listener.Open))
	counter(connectionsRefused, listener.Refused, reasonDescriptors)
	counter(connectionsRefused, c.node.gateway.Stats().Refused, reasonLimit)
	hits := c.node.gateway.Policy().Limiter.Stats().Refused
	for l := range limit.Limits {
		counter(limitHits, hits[l], l.String())
	}
	gauge(probeAge, c.node.probeAge().Seconds())
	gauge(buildInfo, 1, version+revision(), runtime.Version())
}

// probeAge is as comet_relay_probe_age_seconds has it.
func (n *node) probeAge() time.Duration {
	b, ok := n.broker.(interface {
		RelayAge() (age time.Duration, ok bool)
	})
	if !ok {
		return 0
	}
	if age, ok := b.RelayAge(); ok {
		return age
	}
	return -time.Second
}
