package server

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"comet/internal/servertest"
	"comet/internal/testenv"
)

// samples are the values that a node exports, by name and labels as they are in
// its text.
type samples map[string]float64

// samplesOf reads the text format of Prometheus, as a node writes it.
func samplesOf(t testing.TB, text io.Reader) samples {
	t.Helper()
	all := make(samples)
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if at < 0 || err != nil {
			t.Fatalf("not a sample: %s", line)
		}
		all[line[:at]] = value
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return all
}

// sum is that of all samples of a metric.
func (s samples) sum(name string) (sum float64) {
	for key, value := range s {
		if key == name || strings.HasPrefix(key, name+"{") {
			sum += value
		}
	}
	return sum
}

// watched is the metrics of a node, looked at over its admin listener.
type watched struct {
	t      testing.TB
	admin  string
	before samples
}

// watchMetrics begins to look at a node once it has settled.
func watchMetrics(t testing.TB, admin string) *watched {
	t.Helper()
	w := &watched{t: t, admin: admin}
	w.await("the node is ready and follows its own channel", func(s samples) bool {
		return s["comet_ready"] == 1 && s["comet_channels"] == 1 && s.sum("comet_resumes_total") == 1
	})
	return w
}

// now is what there is, but for what the sweep does.
func (w *watched) now() samples {
	w.t.Helper()
	response := servertest.Get(w.t, w.admin+"/metrics")
	if response.StatusCode != http.StatusOK {
		w.t.Fatalf("/metrics: %s", response.Status)
	}
	s := samplesOf(w.t, response.Body)
	const reads, sweeps = `comet_log_reads_total{reader="tail"}`, `comet_resyncs_total{cause="sweep"}`
	s[reads] -= s[sweeps] // which come by the clock
	delete(s, sweeps)
	return s
}

// await waits until it is so, and goes on from there.
func (w *watched) await(what string, so func(samples) bool) {
	w.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	late := time.After(testenv.Patience)
	for {
		now := w.now()
		if so(now) {
			w.before = now
			return
		}
		select {
		case <-look.C:
		case <-late:
			w.t.Fatalf("waited in vain until %s; since before:\n%s", what, strings.Join(w.changes(now), "\n"))
		}
	}
}

// want waits until the changes since the last one are these exactly, a line
// each, of all metrics of Comet's own that count events and places.
func (w *watched) want(what string, lines ...string) {
	w.t.Helper()
	slices.Sort(lines)
	w.await(fmt.Sprintf("%s makes\n%s", what, strings.Join(lines, "\n")), func(now samples) bool {
		return slices.Equal(w.changes(now), lines)
	})
}

// changes are what is otherwise than before, as `name{labels} +1`.
func (w *watched) changes(now samples) (lines []string) {
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if change := now[key] - w.before[key]; change != 0 && !isClock(key) {
			lines = append(lines, fmt.Sprintf("%s %+g", key, change))
		}
	}
	slices.Sort(lines)
	return lines
}

// isClock reports whether a metric goes on its own, or by how much is not known
// beforehand.
func isClock(key string) bool {
	name, _, _ := strings.Cut(key, "{")
	switch name {
	case "comet_relay_probe_age_seconds", "comet_draining_seconds", "comet_tail_bytes", "comet_written_bytes_total",
		"comet_redis_pool_connections", "comet_redis_pool_requests_total":
		return true
	}
	return !strings.HasPrefix(name, "comet_") || strings.HasSuffix(name, "_seconds_sum") || strings.HasSuffix(name, "_seconds_bucket")
}
