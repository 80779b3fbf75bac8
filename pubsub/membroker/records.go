package membroker

import (
	"context"
	"maps"
	"sync"
	"time"

	"comet/pubsub"
)

// records are the records of a cluster.
type records struct {
	mu      sync.Mutex
	byKey   map[string]*record
	tidyLen int // remove expired records when there are that many
}

type record struct {
	pubsub.Record
	expires time.Time
}

var _ pubsub.RecordStore = (*Broker)(nil)

// LoadRecord implements pubsub.RecordStore.
func (b *Broker) LoadRecord(_ context.Context, key string) (pubsub.Record, error) {
	if b.isClosed() {
		return pubsub.Record{}, pubsub.ErrClosed
	}
	all := &b.cluster.records
	all.mu.Lock()
	defer all.mu.Unlock()
	r := all.current(key)
	if r == nil {
		return pubsub.Record{}, nil
	}
	return pubsub.Record{Version: r.Version, Fields: maps.Clone(r.Fields)}, nil
}

// ChangeRecord implements pubsub.RecordStore.
func (b *Broker) ChangeRecord(_ context.Context, key string, c pubsub.RecordChange) (version uint64, err error) {
	if b.isClosed() {
		return 0, pubsub.ErrClosed
	}
	all := &b.cluster.records
	all.mu.Lock()
	defer all.mu.Unlock()
	r := all.current(key)
	switch {
	case r == nil && c.Version == 0:
		r = all.add(key)
	case r == nil || r.Version != c.Version:
		return 0, pubsub.ErrRecordChanged
	}
	if c.TTL <= 0 {
		delete(all.byKey, key)
		return 0, nil
	}
	for _, name := range c.Remove {
		delete(r.Fields, name)
	}
	maps.Copy(r.Fields, c.Set)
	r.Version++
	r.expires = time.Now().Add(c.TTL)
	return r.Version, nil
}

// current returns the record, or nil if it does not exist.
func (all *records) current(key string) *record {
	r := all.byKey[key]
	if r == nil || !time.Now().Before(r.expires) {
		return nil
	}
	return r
}

// add makes an empty record. Removing expired ones only when their number has doubled
// keeps the cost of each constant.
func (all *records) add(key string) *record {
	if len(all.byKey) >= all.tidyLen {
		now := time.Now()
		maps.DeleteFunc(all.byKey, func(_ string, r *record) bool { return !now.Before(r.expires) })
		all.tidyLen = max(1024, 2*len(all.byKey))
	}
	if all.byKey == nil {
		all.byKey = make(map[string]*record)
	}
	r := &record{Record: pubsub.Record{Fields: make(map[string]string)}}
	all.byKey[key] = r
	return r
}
