package pubsubtest

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comet/pubsub"
)

// recordsOf returns the records as a node of its own sees them.
func recordsOf(t *testing.T, c *Cluster) pubsub.RecordStore {
	t.Helper()
	records, ok := registryOf(t, c).(pubsub.RecordStore)
	if !ok {
		t.Skip("the broker keeps no records")
	}
	return records
}

// Every node sees the changes of all others, and of two changes of one version only one
// is carried out.
func testRecords(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := recordsOf(t, c), recordsOf(t, c)
	want := func(key string, version uint64, fields map[string]string) {
		t.Helper()
		for _, records := range []pubsub.RecordStore{a, b} {
			got, err := records.LoadRecord(t.Context(), key)
			if err != nil || got.Version != version || !maps.Equal(got.Fields, fields) {
				t.Errorf("the record %s is %v, %v; want version %d with %v", key, got, err, version, fields)
			}
		}
	}
	change := func(records pubsub.RecordStore, key string, rc pubsub.RecordChange) (uint64, error) {
		t.Helper()
		if rc.TTL == 0 {
			rc.TTL = time.Hour
		}
		return records.ChangeRecord(t.Context(), key, rc)
	}
	const one, two = "comet.test.one", "comet.test.two"
	want(one, 0, nil)
	if v, err := change(a, one, pubsub.RecordChange{Set: map[string]string{"x": "1", "version": "é\x00"}}); v != 1 || err != nil {
		t.Fatalf("create: %d, %v", v, err)
	}
	want(one, 1, map[string]string{"x": "1", "version": "é\x00"})
	want(two, 0, nil)
	if _, err := change(b, one, pubsub.RecordChange{}); !errors.Is(err, pubsub.ErrRecordChanged) {
		t.Errorf("create again: %v", err)
	}
	if v, err := change(b, one, pubsub.RecordChange{Version: 1, Set: map[string]string{"y": "", "x": "2"}, Remove: []string{"version", "none"}}); v != 2 || err != nil {
		t.Errorf("change: %d, %v", v, err)
	}
	if _, err := change(a, one, pubsub.RecordChange{Version: 1, Set: map[string]string{"z": "3"}}); !errors.Is(err, pubsub.ErrRecordChanged) {
		t.Errorf("change of an earlier version: %v", err)
	}
	if _, err := change(a, two, pubsub.RecordChange{Version: 1}); !errors.Is(err, pubsub.ErrRecordChanged) {
		t.Errorf("change of no record: %v", err)
	}
	want(one, 2, map[string]string{"x": "2", "y": ""})
	if v, err := a.ChangeRecord(t.Context(), one, pubsub.RecordChange{Version: 2}); v != 0 || err != nil {
		t.Errorf("remove: %d, %v", v, err)
	}
	want(one, 0, nil)
}

// A record is gone after its TTL, and every change begins that again.
func testRecordExpires(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	records := recordsOf(t, c)
	const key = "comet.test.expires"
	if _, err := records.ChangeRecord(t.Context(), key, pubsub.RecordChange{TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := records.ChangeRecord(t.Context(), key, pubsub.RecordChange{Version: 1, TTL: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	for {
		r, err := records.LoadRecord(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if r.Version == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if v, err := records.ChangeRecord(t.Context(), key, pubsub.RecordChange{TTL: time.Hour}); v != 1 || err != nil {
		t.Errorf("create after the TTL: %d, %v", v, err)
	}
}

// Of concurrent changes none is lost.
func testRecordConcurrent(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	const key, each = "comet.test.count", 20
	var all sync.WaitGroup
	var done atomic.Int64
	for n := range 4 {
		records := recordsOf(t, c)
		all.Go(func() {
			for i := range each {
				for {
					r, err := records.LoadRecord(t.Context(), key)
					if err == nil {
						_, err = records.ChangeRecord(t.Context(), key, pubsub.RecordChange{
							Version: r.Version, Set: map[string]string{fmt.Sprint(n, ".", i): "x"}, TTL: time.Hour,
						})
					}
					if err == nil {
						done.Add(1)
						break
					}
					if !errors.Is(err, pubsub.ErrRecordChanged) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	r, err := recordsOf(t, c).LoadRecord(t.Context(), key)
	if err != nil || r.Version != uint64(done.Load()) || len(r.Fields) != 4*each {
		t.Errorf("version %d with %d fields, %v; want %d and %d", r.Version, len(r.Fields), err, done.Load(), 4*each)
	}
}
