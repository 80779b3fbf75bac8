package conn

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkFlush is one message that a writer writes to N parked streams, with the system
// calls, and without the work of the clients.
func BenchmarkFlush(b *testing.B) {
	for _, streams := range []int{1, 1000} {
		for _, gzip := range []bool{false, true} {
			b.Run(fmt.Sprintf("streams=%d/gzip=%v", streams, gzip), func(b *testing.B) { benchmarkFlush(b, streams, gzip) })
		}
	}
}

func benchmarkFlush(b *testing.B, streams int, gzip bool) {
	bench := newBench(b, 1, time.Hour)
	w := bench.parker.writers[0]
	all := make([]*testConn, streams)
	for i := range all {
		all[i] = bench.park(&parked{writer: w, gzip: gzip, ended: func(CloseReason) {}}, []string{"c"})
	}
	var took time.Duration
	for b.Loop() {
		bench.publish("c", "a message of some hundred bytes, as an application of the usual kind would send it to its clients")
		began := time.Now()
		w.work()
		took += time.Since(began)
		for _, s := range all {
			s.readAll()
		}
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N*streams), "ns/delivery")
	stats := bench.parker.Stats()
	b.ReportMetric(float64(stats.Bytes[OverSSE])/float64(b.N*streams), "bytes/delivery")
}
