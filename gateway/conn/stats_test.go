package conn

import (
	"testing"
	"testing/synctest"
	"time"

	"comet/gateway/wire"
)

// The messages that a goroutine writes are counted after the write, with their latency.
func TestPortableStats(t *testing.T) {
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			p := Portable{Heartbeat: heartbeat, counters: newCounters(2)}
			hold(t, p, format, func(h *held) {
				h.want("ready")
				synctest.Wait()
				ready := p.counters.stats()
				time.Sleep(time.Millisecond) // what is as old as the stream may be what it resumes with
				h.publish(1, 2)
				synctest.Wait() // the client does not read yet
				if got := p.counters.stats(); got != ready {
					t.Errorf("counted before it is written: %+v", got)
				}
				time.Sleep(30 * time.Millisecond)
				h.want("1", "2")
				synctest.Wait()
				got := p.counters.stats()
				over := TransportOf(format)
				if got.Messages[over] != 2 || got.Bytes[over] <= ready.Bytes[over] {
					t.Errorf("counted %+v, at first %+v", got, ready)
				}
				// Both were published one after the other, and both followed.
				if got.WriteLatency.Counts[5] != 2 || got.WriteLatency.Sum != 60*time.Millisecond {
					t.Errorf("the times are %+v", got.WriteLatency)
				}
			})
		})
	}
}

// A Portable without counters counts nothing.
func TestNoStats(t *testing.T) {
	hold(t, Portable{Heartbeat: heartbeat}, wire.SSE, func(h *held) {
		h.want("ready")
		h.publish(1, 1)
		h.want("1")
	})
}
