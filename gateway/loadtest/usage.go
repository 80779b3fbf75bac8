package loadtest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what processes have used, from Linux's /proc.
type usage struct {
	cpu    time.Duration // user and system; to 10 ms, the clock tick of /proc
	memory int64         // bytes resident
}

// usageOf is the sum over the processes.
func usageOf(pids []int) (sum usage, err error) {
	for _, pid := range pids {
		cpu, err := cpuOf(pid)
		if err != nil {
			return usage{}, err
		}
		memory, err := memoryOf(pid)
		if err != nil {
			return usage{}, err
		}
		sum.cpu += cpu
		sum.memory += memory
	}
	return sum, nil
}

// cpuOf reads utime and stime, fields 14 and 15 of proc_pid_stat(5), whose
// unit is 1/100 s on every architecture that Go runs on.
func cpuOf(pid int) (time.Duration, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	// The second field, a name in parentheses, may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read CPU time: %s has an unknown form", path)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("read CPU time: %s has an unknown form", path)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// memoryOf is the proportional set size: resident memory, in which a page that
// processes share counts once for all of them. For a process alone it is RSS;
// for nginx, whose workers share a zone, RSS would count that twice.
func memoryOf(pid int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read resident memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("read resident memory: %s has no Pss", path)
}

// meter measures what a phase costs.
type meter struct {
	options *Options
	before  readings
}

// readings are the usage of the server, of its store, and of this process.
type readings struct{ server, store, generator usage }

// cost is what was used since the meter's start.
type cost struct {
	server, store, generator time.Duration
	memory                   int64 // growth of the server's
}

func newMeter(o *Options) (*meter, error) {
	before, err := look(o)
	return &meter{o, before}, err
}

func (m *meter) read() (cost, error) {
	now, err := look(m.options)
	return cost{
		server:    now.server.cpu - m.before.server.cpu,
		store:     now.store.cpu - m.before.store.cpu,
		generator: now.generator.cpu - m.before.generator.cpu,
		memory:    now.server.memory - m.before.server.memory,
	}, err
}

// look reads nothing if there is no server to charge.
func look(o *Options) (r readings, err error) {
	if len(o.Server) == 0 {
		return r, nil
	}
	if r.server, err = usageOf(o.Server); err != nil {
		return r, err
	}
	if r.store, err = usageOf(o.Store); err != nil {
		return r, err
	}
	r.generator, err = usageOf([]int{os.Getpid()})
	return r, err
}
