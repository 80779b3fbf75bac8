package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is the CPU time and memory of processes.
type usage struct {
	cpu    time.Duration // user and system
	memory int64         // bytes resident
}

// The functions below read Linux's /proc.

// family returns a process and its descendants. It is empty if the process does
// not exist.
func family(pid int) (pids []int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	pids = append(pids, pid)
	for _, task := range tasks { // each thread has its own list of children
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue // it has ended
		}
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, family(child)...)
			}
		}
	}
	return pids
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

// memoryOf returns the proportional set size: resident memory, with a page that
// processes share divided among them. For a single process it is the RSS. For
// nginx, with a zone that its workers share, RSS would count the zone twice.
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

// ownMemory returns the memory of this process, 0 if it is unknown.
func ownMemory() int64 {
	memory, err := memoryOf(os.Getpid())
	if err != nil {
		return 0
	}
	return memory
}

// residentOf returns the RSS. Unlike memoryOf it does not slow the process down.
func residentOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// machineIdle returns the idle time of all CPUs of this machine, field 4 of the
// first line of proc_stat(5); ok is false if it is unknown.
func machineIdle() (idle time.Duration, ok bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return 0, false
	}
	ticks, err := strconv.ParseInt(fields[4], 10, 64)
	return time.Duration(ticks) * 10 * time.Millisecond, err == nil
}
