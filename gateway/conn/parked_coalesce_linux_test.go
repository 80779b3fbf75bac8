package conn

import (
	"bytes"
	"testing"
	"time"
)

// While a shard is deferred its streams get nothing, and after that all at once; unless
// much has come meanwhile, or the node drains.
func TestCoalescing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		publish []string
		end     func(*writer, *shard)
	}{
		{"time is up", []string{"1", "2"}, func(w *writer, s *shard) {
			s.deferUntil = w.clock.elapsed()
			w.flusher.flushDeferred()
		}},
		{"much has come", []string{"1", large[:flushNowBytes]}, func(w *writer, _ *shard) { w.work() }},
		{"the node drains", []string{"1", "2"}, func(w *writer, _ *shard) {
			w.drain(0)
			w.work()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1, time.Minute)
			w := b.parker.writers[0]
			p := b.addStream(w, "c")
			s := p.positions[0].shard
			s.deferUntil = w.clock.elapsed() + time.Hour

			b.publish("c", test.publish[0])
			w.work()
			w.flusher.flushDeferred()
			if got := p.readAll(); len(got) > 0 || !s.deferred {
				t.Fatalf("deferred: %v, and %q was written", s.deferred, got)
			}
			b.publish("c", test.publish[1])
			test.end(w, s)
			got := p.readAll()
			for _, data := range test.publish {
				if !bytes.Contains(got, []byte(data[:min(len(data), 1000)])) {
					t.Errorf("%.20q is missing in %.200q", data, got)
				}
			}
		})
	}
}

func TestDeferAfter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		unshared   bool
		took, want time.Duration
	}{
		{false, longPass - 1, 0},
		{false, 2 * time.Millisecond, 6 * time.Millisecond},
		{false, time.Second, maxDefer},
		{true, time.Second, 0},
	} {
		s := &shard{feed: &feed{key: feedKey{unshared: test.unshared}}}
		if got := s.deferAfter(test.took); got != test.want {
			t.Errorf("after %v (unshared: %v) a deferral of %v, want %v", test.took, test.unshared, got, test.want)
		}
	}
}
