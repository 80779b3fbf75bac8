package pubsub

import (
	"bytes"
	"sync/atomic"
	"time"

	"comet/internal/metrics"
)

// timing follows one publish of this node after the other on its way through
// the relay and back here, with this node's clock alone: no two clocks are ever
// compared. A message's ID is not known before the relay may have brought it,
// so it is recognised by what is in it; a twin that another node publishes in
// the same moment may be taken for it, and is as good.
type timing struct {
	following atomic.Pointer[followed] // nil: none
	relay     metrics.Latency
}

type followed struct {
	draft *Draft
	began time.Time
}

// followTime is when a message that has not come back is given up: by then it
// was read from the log, or is too large to be relayed.
const followTime = 10 * time.Second

// begin follows d, unless another is being followed. open reports whether the
// relay carries its channel here.
func (t *timing) begin(d *Draft, open func(channel string) bool) *followed {
	before := t.following.Load()
	if before != nil && time.Since(before.began) < followTime || !open(d.Channel) {
		return nil
	}
	f := &followed{d, time.Now()}
	if !t.following.CompareAndSwap(before, f) {
		return nil
	}
	return f
}

// end gives f up if nothing was published: then the relay will not bring it.
func (t *timing) end(f *followed, r *Receipt) {
	if f != nil && (r.Err != nil || r.Duplicate) {
		t.following.CompareAndSwap(f, nil)
	}
}

// arrived takes what the relay brought. The one that is followed it returns
// with its time; messages are shared, so that is a copy.
func (t *timing) arrived(m *Message) *Message {
	f := t.following.Load()
	if f == nil || m.Channel != f.draft.Channel || m.Type != f.draft.Type || !bytes.Equal(m.Data, f.draft.Data) {
		return m
	}
	if !t.following.CompareAndSwap(f, nil) {
		return m
	}
	t.relay.Observe(time.Since(f.began))
	timed, began := *m, f.began // not f's own, which would keep the draft as long as the tail keeps m
	timed.began = &began
	return &timed
}
