package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// meter reads the CPU and memory of server and store. The CPU time of a process
// that ended still counts. For a node that does not answer, its last metrics count.
type meter struct {
	server, store processGroup
	metrics       string // a URL, or ""
	client        http.Client
	scraped       usage
}

// processGroup is the processes of one party.
type processGroup struct {
	pids []int
	cpu  map[int]time.Duration // by process, including children
}

// scrapeTime bounds a read of the metrics, which blocks the whole run.
const scrapeTime = 500 * time.Millisecond

// newMeter returns an error if a process or the metrics cannot be read.
func newMeter(ctx context.Context, p *Plan) (*meter, error) {
	m := &meter{
		server:  processGroup{p.ServerPIDs, make(map[int]time.Duration)},
		store:   processGroup{p.StorePIDs, make(map[int]time.Duration)},
		metrics: p.MetricsURL,
		client:  http.Client{Transport: &http.Transport{}, Timeout: scrapeTime},
	}
	for _, pid := range slices.Concat(p.ServerPIDs, p.StorePIDs) {
		if _, err := cpuOf(pid); err != nil {
			return nil, fmt.Errorf("process %d cannot be measured: %w", pid, err)
		}
		if _, err := memoryOf(pid); err != nil {
			return nil, fmt.Errorf("process %d cannot be measured: %w", pid, err)
		}
	}
	if m.scrapes() {
		if err := m.scrape(ctx); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return m, nil
}

// scrapes reports whether the server is measured by its metrics.
func (m *meter) scrapes() bool { return m.metrics != "" && len(m.server.pids) == 0 }

// charges reports whether the server is measured.
func (m *meter) charges() bool { return m.metrics != "" || len(m.server.pids) > 0 }

// reading is the usage of server and store.
type reading struct{ server, store usage }

// read is cheap: memory is the resident size.
func (m *meter) read(ctx context.Context) (r reading) {
	r.server = m.server.read(residentOf)
	r.store = m.store.read(residentOf)
	if m.scrapes() {
		_ = m.scrape(ctx) // on failure, the last metrics count
		r.server = m.scraped
	}
	return r
}

// readExactly also reads the exact memory of the server, which pauses it for a moment.
func (m *meter) readExactly(ctx context.Context) reading {
	r := m.read(ctx)
	if !m.scrapes() {
		r.server = m.server.read(func(pid int) int64 {
			memory, _ := memoryOf(pid) // 0 if it has ended
			return memory
		})
	}
	return r
}

func (m *meter) close() { m.client.CloseIdleConnections() }

func (a *processGroup) read(memory func(pid int) int64) (u usage) {
	for _, root := range a.pids {
		for _, pid := range family(root) {
			if cpu, err := cpuOf(pid); err == nil {
				a.cpu[pid] = cpu
			}
			u.memory += memory(pid)
		}
	}
	for cpu := range maps.Values(a.cpu) {
		u.cpu += cpu
	}
	return u
}

// scrape reads the metrics.
func (m *meter) scrape(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.metrics, nil)
	if err != nil {
		return err
	}
	response, err := m.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", m.metrics, response.Status)
	}
	u, err := parseMetrics(response.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", m.metrics, err)
	}
	m.scraped = u
	return nil
}

const (
	cpuMetric    = "process_cpu_seconds_total"
	memoryMetric = "process_resident_memory_bytes"
)

// parseMetrics parses the two metrics from the Prometheus text format.
func parseMetrics(r io.Reader) (u usage, err error) {
	cpu, memory := false, false
	lines := bufio.NewScanner(io.LimitReader(r, 16<<20))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if value, ok := metric(lines.Text(), cpuMetric); ok {
			u.cpu, cpu = u.cpu+time.Duration(min(value, 1e9)*float64(time.Second)), true
		}
		if value, ok := metric(lines.Text(), memoryMetric); ok {
			u.memory, memory = u.memory+int64(value), true
		}
	}
	switch {
	case lines.Err() != nil:
		return usage{}, lines.Err()
	case !cpu || !memory:
		return usage{}, fmt.Errorf("%s or %s is missing", cpuMetric, memoryMetric)
	}
	return u, nil
}

// metric returns the value of a line of the metric name, with any labels.
func metric(line, name string) (float64, bool) {
	rest, found := strings.CutPrefix(line, name)
	if !found || rest == "" || rest[0] != ' ' && rest[0] != '{' {
		return 0, false
	}
	if end := strings.LastIndexByte(rest, '}'); rest[0] == '{' && end >= 0 {
		rest = rest[end+1:]
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, false
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	return value, err == nil && value >= 0 && value < 1e18
}
