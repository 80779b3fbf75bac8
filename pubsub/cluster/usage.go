package cluster

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// usage is what this process uses, as far as the system tells.
type usage struct {
	cpu        time.Duration // since its start, user and system; 0: not known
	rss        int64         // bytes resident; 0: not known
	heap       int64         // bytes of objects, dead ones that are not swept yet too
	goroutines int
}

// heapMetric is read without stopping the world.
const heapMetric = "/memory/classes/heap/objects:bytes"

func readUsage() usage {
	sample := []metrics.Sample{{Name: heapMetric}}
	metrics.Read(sample)
	u := usage{cpu: cpuTime(), rss: resident(), goroutines: runtime.NumGoroutine()}
	if sample[0].Value.Kind() == metrics.KindUint64 {
		u.heap = int64(sample[0].Value.Uint64())
	}
	return u
}
