package membroker

import (
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"comet/pubsub"
)

// channelLog is the log of one channel, or an index log, with its subscribers.
type channelLog struct {
	channel string // or the name of the index log

	mu       sync.Mutex // also held while sinks are called, which keeps the order
	messages []*pubsub.Message
	expires  time.Time
	newest   pubsub.ID        // the newest message's, also of a log that has expired
	known    time.Time        // until when newest is known
	keys     map[string]keyed // by Draft.KeyName: what it was first used for
	aging    []agingKey       // the same keys, oldest first
	sinks    map[*Broker]pubsub.Sink
	presence *presence // nil: no members
}

// keyed is the message of an idempotency key.
type keyed struct {
	id  pubsub.ID
	sum string // see Draft.KeyName
}

// agingKey is an idempotency key that will be forgotten.
type agingKey struct {
	name    string
	expires time.Time
}

// publish appends d to the log of its channel and to its index log, and relays it.
func (c *Cluster) publish(d pubsub.Draft) pubsub.Receipt {
	l, index := c.lockedWithIndex(d.Channel)
	defer l.mu.Unlock()
	if index != nil {
		defer index.mu.Unlock()
	}
	return l.publish(d, index, c)
}

func (l *channelLog) publish(d pubsub.Draft, index *channelLog, c *Cluster) pubsub.Receipt {
	now := time.Now()
	m := pubsub.Message{Channel: d.Channel, Type: d.Type, Data: d.Data, Time: now.UTC().Truncate(time.Millisecond), From: d.From, Tags: d.Tags, Trace: d.Trace}
	if d.Ephemeral {
		l.relay(&m)
		if index != nil {
			index.relay(&m)
		}
		return pubsub.Receipt{}
	}
	var name, sum string
	if d.Key != "" {
		name, sum = d.KeyName(), d.KeySum()
		if first, ok := l.keys[name]; ok && first.sum == sum {
			return pubsub.Receipt{ID: first.id, Duplicate: true}
		} else if ok {
			return pubsub.Receipt{Err: fmt.Errorf("%w: it is that of message %v", pubsub.ErrKeyReused, first.id)}
		}
	}
	newest := l.newest
	if index != nil && index.newest.Compare(newest) > 0 {
		newest = index.newest
	}
	m.ID = pubsub.NextID(newest, uint64(now.UnixMilli()), c.epoch)
	m.Time = m.ID.Time()
	before := l.newest
	l.append(m, before, now, c)
	if d.Key != "" {
		l.remember(agingKey{name, now.Add(c.options.KeyWindow)}, keyed{m.ID, sum})
	}
	if index != nil {
		indexed := index.newest
		if !indexed.IsZero() && indexed.Compare(before) < 0 {
			indexed = before // which the index does not have
		}
		index.append(m, indexed, now, c)
	}
	return pubsub.Receipt{ID: m.ID}
}

// append appends m after the message prev, and relays it.
func (l *channelLog) append(m pubsub.Message, prev pubsub.ID, now time.Time, c *Cluster) {
	m.Prev = prev
	l.messages = append(l.messages, &m)
	size, ttl := c.options.Retention(l.channel)
	if extra := len(l.messages) - size; extra > 0 {
		clear(l.messages[:extra])
		l.messages = l.messages[extra:] // the array goes at its next growth
	}
	l.newest, l.expires, l.known = m.ID, now.Add(ttl), now.Add(pubsub.EndTTL(ttl))
	l.relay(&m)
}

func (l *channelLog) relay(m *pubsub.Message) {
	for _, sink := range l.sinks {
		sink.Received(l.channel, m)
	}
}

func (l *channelLog) remember(k agingKey, first keyed) {
	if l.keys == nil {
		l.keys = make(map[string]keyed)
	}
	l.keys[k.name] = first
	l.aging = append(l.aging, k)
}

func (l *channelLog) read(q pubsub.Query, c *Cluster) pubsub.Page {
	p := pubsub.Page{End: l.end(), Epoch: c.epoch, Now: uint64(time.Now().UnixMilli())}
	_, p.TTL = c.options.Retention(q.Channel)
	if p.End.IsZero() {
		p.PreviousEnd = l.newest
	}
	at, found := slices.BinarySearchFunc(l.messages, q.Cursor, func(m *pubsub.Message, id pubsub.ID) int {
		return m.ID.Compare(id)
	})
	var messages iter.Seq[*pubsub.Message]
	switch {
	case q.Backward && q.Cursor.IsZero():
		messages = newestFirst(l.messages)
	case q.Backward:
		messages = newestFirst(l.messages[:at])
	case found:
		messages = slices.Values(l.messages[at+1:])
	default:
		messages = slices.Values(l.messages[at:])
	}
	size := 0
	for m := range messages {
		if size += len(m.Data); len(p.Messages) == q.Limit || size > q.MaxBytes() && len(p.Messages) > 0 {
			p.More = q.Limit > 0
			break
		}
		p.Messages = append(p.Messages, m)
	}
	return p
}

func newestFirst(messages []*pubsub.Message) iter.Seq[*pubsub.Message] {
	return func(yield func(*pubsub.Message) bool) {
		for _, m := range slices.Backward(messages) {
			if !yield(m) {
				return
			}
		}
	}
}

// end is the newest message's ID; zero if there is none.
func (l *channelLog) end() pubsub.ID {
	if len(l.messages) == 0 {
		return pubsub.ID{}
	}
	return l.messages[len(l.messages)-1].ID
}

// expire drops what has outlived its time.
func (l *channelLog) expire(now time.Time) {
	if now.After(l.expires) {
		l.messages = nil
	}
	if now.After(l.known) {
		l.newest = pubsub.ID{}
	}
	for len(l.aging) > 0 && now.After(l.aging[0].expires) {
		delete(l.keys, l.aging[0].name)
		l.aging = l.aging[1:]
	}
	if l.presence != nil && now.After(l.presence.expires) {
		l.presence = nil
	}
}

// unused reports whether nothing is lost if the log is forgotten.
func (l *channelLog) unused() bool {
	return l.newest.IsZero() && len(l.keys) == 0 && len(l.sinks) == 0 && l.presence == nil
}

// leave stops relaying to b.
func (l *channelLog) leave(b *Broker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sinks, b)
}
