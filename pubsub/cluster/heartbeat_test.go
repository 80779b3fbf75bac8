package cluster

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
)

// Every node lists all of them. A node that leaves is removed at once, one that
// dies when its report expires.
func TestNodesComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		for _, n := range []*node{a, b, c} {
			if got := ids(n.reports(t)); got != "a b c" {
				t.Errorf("nodes are %q", got)
			}
		}
		b.goAway()
		if got := ids(a.reports(t)); got != "a c" {
			t.Errorf("after b left, nodes are %q", got)
		}
		c.kill()
		time.Sleep(Interval) // of bubble time, as all here
		if got := ids(a.reports(t)); got != "a c" {
			t.Errorf("after c missed a heartbeat, nodes are %q", got)
		}
		time.Sleep(LifetimeIntervals * Interval)
		if got := ids(a.reports(t)); got != "a" {
			t.Errorf("after c's time, nodes are %q", got)
		}
	})
}

// Rates are of the last interval, and there are none before there was one.
func TestRates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newWorld(t).join("a")
		if r := n.reports(t)[0]; r.Deliveries.PerSecond != 0 || r.CPUPercent != nil || r.Bytes != nil || r.RelayDelayMS != nil {
			t.Errorf("the first report is %+v", r)
		}
		time.Sleep(Interval / 2)
		written, delay := int64(4000), 1500*time.Microsecond
		counts := Counts{Ready: true, Deliveries: 100, Publishes: 10, Bytes: new(int64), RelayDelay: &delay, Connections: Connections{Total: 3, Streams: 2}}
		n.counts.Store(&counts)
		time.Sleep(Interval)
		r := n.reports(t)[0]
		if r.Deliveries != (Rate{100, 50}) || r.Publishes != (Rate{10, 5}) || *r.RelayDelayMS != 1.5 || r.Connections.Streams != 2 || !r.Ready {
			t.Errorf("the report is %+v", r)
		}
		later := counts
		later.Bytes = &written
		n.counts.Store(&later)
		time.Sleep(Interval)
		r = n.reports(t)[0]
		if r.Deliveries != (Rate{100, 0}) || r.Bytes == nil || *r.Bytes != (Rate{4000, 2000}) {
			t.Errorf("the report is %+v", r)
		}
	})
}

// A subscriber of Channel gets each heartbeat, and the end of each node.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.join("a"), w.join("b")
		s, err := a.hub.SubscribeUncounted(t.Context(), []pubsub.Start{{Channel: Channel}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		time.Sleep(Interval + Interval/2)
		b.goAway()
		var heard []string
		for range 3 {
			items, err := s.Next(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			m := items[0].Message
			r, err := ParseReport(m.Data) // a Left has an id too
			if err != nil {
				t.Fatal(err)
			}
			heard = append(heard, m.Type+" "+r.ID)
		}
		if last := heard[2]; last != TypeLeft+" b" || len(heard[0]) != len(TypeReport+" a") {
			t.Errorf("heard %q", heard)
		}
	})
}

// Channels are added up over all nodes, exactly, by any of them. Uncounted
// subscribers are left out.
func TestChannels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.join("a"), w.join("b")
		a.subscribe(t, "news", 2)
		b.subscribe(t, "news", 3)
		b.subscribe(t, "chat/1", 1)
		b.subscribe(t, pubsub.ControlPrefix+"secret", 1)
		if s, err := a.hub.SubscribeUncounted(t.Context(), []pubsub.Start{{Channel: "news"}, {Channel: "looked/at"}}); err != nil {
			t.Fatal(err)
		} else {
			defer s.Close()
		}
		for _, n := range []*node{a, b} {
			began := time.Now()
			var got ChannelList
			n.get(t, "/v1/channels", &got)
			if want := (counts("news", 5, 2, "chat/1", 1, 1)); !got.Complete || got.Found != 2 || fmt.Sprint(got.Channels) != fmt.Sprint(want) {
				t.Errorf("%+v, want %v", got, want)
			}
			if took := time.Since(began); took > Interval+look {
				t.Errorf("answered after %v", took)
			}
		}
		b.subscribe(t, "chat/1", 1)
		time.Sleep(Interval + look)
		var got ChannelList
		a.get(t, "/v1/channels?prefix=chat/&limit=1", &got)
		if want := counts("chat/1", 2, 1); fmt.Sprint(got.Channels) != fmt.Sprint(want) {
			t.Errorf("%+v, want %v", got, want)
		}
		for _, query := range []string{"limit=0", "limit=1001", "limit=x"} {
			if code := a.get(t, "/v1/channels?"+query, nil); code != http.StatusBadRequest {
				t.Errorf("%s: status %d", query, code)
			}
		}
	})
}

// Nodes report channels only while they are asked to. A silent node is waited for,
// and named.
func TestChannelsWhileAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.join("a"), w.join("b")
		told := func() bool {
			all, err := a.broker.Nodes(t.Context(), false)
			if err != nil || len(all) != 2 {
				t.Fatalf("%d nodes, %v", len(all), err)
			}
			return all[1].Channels != nil
		}
		time.Sleep(Interval)
		if told() {
			t.Error("reported channels without a request")
		}
		var got ChannelList
		a.get(t, "/v1/channels", &got)
		if !told() || !got.Complete {
			t.Errorf("%+v", got)
		}
		time.Sleep(pubsub.ChannelsAskedFor + 2*Interval)
		if told() {
			t.Error("still reports channels")
		}
		b.kill()
		began := time.Now()
		a.get(t, "/v1/channels", &got)
		if got.Complete || fmt.Sprint(got.Silent) != "[b]" {
			t.Errorf("with a silent node: %+v", got)
		}
		if took := time.Since(began); took > Interval+2*time.Second {
			t.Errorf("answered after %v", took)
		}
	})
}

// With the broker away requests say so.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newWorld(t).join("a")
		n.goAway()
		n.hub.Close()
		if err := n.broker.Close(); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/v1/nodes", "/v1/channels"} {
			if code := n.get(t, path, nil); code != http.StatusServiceUnavailable {
				t.Errorf("%s: status %d", path, code)
			}
		}
	})
}
