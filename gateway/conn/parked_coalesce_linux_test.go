package conn

import (
	"bytes"
	"testing"
	"time"
)

// While a shard rests its streams get nothing, and behind it all at once;
// unless much has come meanwhile, or the node leaves.
func TestRest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		publish []string
		end     func(*writer, *shard)
	}{
		{"time is up", []string{"1", "2"}, func(w *writer, s *shard) {
			s.rested = w.clock()
			w.serveRested()
		}},
		{"much has come", []string{"1", large[:hurryBytes]}, func(w *writer, _ *shard) { w.work() }},
		{"the node leaves", []string{"1", "2"}, func(w *writer, _ *shard) {
			w.leave(0)
			w.work()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1, time.Minute)
			w := b.parker.writers[0]
			p := b.seat(w, "c")
			s := p.places[0].shard
			s.rested = w.clock() + time.Hour

			b.publish("c", test.publish[0])
			w.work()
			w.serveRested()
			if got := p.drain(); len(got) > 0 || !s.resting {
				t.Fatalf("resting: %v, and %q was written", s.resting, got)
			}
			b.publish("c", test.publish[1])
			test.end(w, s)
			got := p.drain()
			for _, data := range test.publish {
				if !bytes.Contains(got, []byte(data[:min(len(data), 1000)])) {
					t.Errorf("%.20q is missing in %.200q", data, got)
				}
			}
		})
	}
}

func TestRestAfter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		own        bool
		took, want time.Duration
	}{
		{false, longWalk - 1, 0},
		{false, 2 * time.Millisecond, 6 * time.Millisecond},
		{false, time.Second, maxRest},
		{true, time.Second, 0},
	} {
		s := &shard{feed: &feed{key: feedKey{own: test.own}}}
		if got := s.restAfter(test.took); got != test.want {
			t.Errorf("after %v (own: %v) a rest of %v, want %v", test.took, test.own, got, test.want)
		}
	}
}
