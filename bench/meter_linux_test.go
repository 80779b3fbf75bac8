package bench

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestUsageOfThisProcess(t *testing.T) {
	m, err := newMeter(t.Context(), &Plan{ServerPIDs: []int{os.Getpid()}})
	if err != nil {
		t.Fatal(err)
	}
	quick, exact := m.read(t.Context()).server, m.readExactly(t.Context()).server
	if quick.memory < 1<<20 || exact.memory < 1<<20 || exact.cpu < quick.cpu {
		t.Errorf("usage %+v, exactly %+v", quick, exact)
	}
	if ownMemory() < 1<<20 || processCPU() <= 0 || threadCPU() <= 0 {
		t.Errorf("own memory %d, CPU %v, thread's %v", ownMemory(), processCPU(), threadCPU())
	}
	if idle, ok := machineIdle(); !ok || idle <= 0 {
		t.Errorf("idle %v, %v", idle, ok)
	}
}

// The CPU time of a process that ended still counts, its memory does not.
func TestMeterOfAProcessThatEnds(t *testing.T) {
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	if !slices.Contains(family(os.Getpid()), pid) {
		t.Errorf("%d is none of the family %v", pid, family(os.Getpid()))
	}
	m, err := newMeter(t.Context(), &Plan{ServerPIDs: []int{pid}})
	if err != nil {
		t.Fatal(err)
	}
	before := m.read(t.Context()).server
	in.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if after := m.readExactly(t.Context()).server; after.cpu < before.cpu || after.memory != 0 {
		t.Errorf("usage %+v, before %+v", after, before)
	}
}
