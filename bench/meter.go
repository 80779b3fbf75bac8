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

// meter reads what server and store have used. A process that ends keeps what
// it has used, and a node that does not answer what it said last.
type meter struct {
	server, store processGroup
	metrics       string // a URL, or ""
	client        http.Client
	scraped       usage
}

// processGroup is the processes of one party.
type processGroup struct {
	pids []int
	cpu  map[int]time.Duration // by process, of children too
}

// scrapeTime bounds a look at metrics, which the whole run waits for.
const scrapeTime = 500 * time.Millisecond

// newMeter returns an error if what is to be read is not there.
func newMeter(ctx context.Context, p *Plan) (*meter, error) {
	m := &meter{
		server:  processGroup{p.ServerPIDs, make(map[int]time.Duration)},
		store:   processGroup{p.StorePIDs, make(map[int]time.Duration)},
		metrics: p.MetricsURL,
		client:  http.Client{Transport: &http.Transport{}, Timeout: scrapeTime},
	}
	for _, pid := range slices.Concat(p.ServerPIDs, p.StorePIDs) {
		if _, err := cpuOf(pid); err != nil {
			return nil, fmt.Errorf("process %d cannot be charged: %w", pid, err)
		}
		if _, err := memoryOf(pid); err != nil {
			return nil, fmt.Errorf("process %d cannot be charged: %w", pid, err)
		}
	}
	if m.scrapes() {
		if err := m.scrape(ctx); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return m, nil
}

// scrapes reports whether the server is charged by its metrics.
func (m *meter) scrapes() bool { return m.metrics != "" && len(m.server.pids) == 0 }

// charges reports whether the server is charged at all.
func (m *meter) charges() bool { return m.metrics != "" || len(m.server.pids) > 0 }

// reading is the usage of both.
type reading struct{ server, store usage }

// read looks quickly: memory is what is resident.
func (m *meter) read(ctx context.Context) (r reading) {
	r.server = m.server.read(residentOf)
	r.store = m.store.read(residentOf)
	if m.scrapes() {
		_ = m.scrape(ctx) // what it said last
		r.server = m.scraped
	}
	return r
}

// readExactly has the exact memory of the server, which takes it a moment.
func (m *meter) readExactly(ctx context.Context) reading {
	r := m.read(ctx)
	if !m.scrapes() {
		r.server = m.server.read(func(pid int) int64 {
			memory, _ := memoryOf(pid) // none if it has ended
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

// parseMetrics reads the Prometheus text format as far as it takes.
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
		return usage{}, fmt.Errorf("there is no %s, or no %s", cpuMetric, memoryMetric)
	}
	return u, nil
}

// metric is the value of a sample of that name, with any labels. Series of
// several processes add up.
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
