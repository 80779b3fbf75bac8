package pubsub

import (
	"testing"
	"time"
)

func TestLivesClear(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.UnixMilli(int64(s) * 1000) }
	id := func(s int) ID { return ID{MS: uint64(s) * 1000, Epoch: genA} }
	for _, test := range []struct {
		name  string
		began EpochStart
		from  ID
		seen  int64
		until ID
		want  bool
	}{
		{name: "nothing began since", began: EpochStart{at(10), at(10), nil}, from: id(20), want: true},
		{name: "a primary began since", began: EpochStart{at(30), at(30), nil}, from: id(20)},
		{name: "about at the same time", began: EpochStart{at(20), at(20), nil}, from: id(20)},
		{name: "after the message that follows", began: EpochStart{at(30), at(30), nil}, from: id(20), until: id(25), want: true},
		{name: "before the message that follows", began: EpochStart{at(22), at(22), nil}, from: id(20), until: id(25)},
		{name: "since, but the relay carried all until later", began: EpochStart{at(30), at(31), nil}, from: id(20), seen: at(32).UnixNano(), want: true},
		{name: "since, and the relay had lost it", began: EpochStart{at(30), at(33), nil}, from: id(20), seen: at(32).UnixNano()},
		{name: "since the beginning of an empty log", began: EpochStart{at(30), at(30), nil}},
		{name: "the reader's own, just before", began: EpochStart{at(20), at(20), []Epoch{genA}}, from: id(20), want: true},
	} {
		l := EpochHistory{Others: []Epoch{genA}, Starts: []EpochStart{test.began}}
		if got := l.clear(genA, test.from, test.seen, test.until); got != test.want {
			t.Errorf("%s: clear says %v", test.name, got)
		}
		if l.clear(genB, test.from, test.seen, test.until) {
			t.Errorf("%s: clears an epoch that has ended", test.name)
		}
		l.Whole = []Epoch{genB}
		if !l.clear(genB, test.from, test.seen, test.until) {
			t.Errorf("%s: does not clear an epoch that was taken over whole", test.name)
		}
		l.Whole = nil
		if l.Same = []Epoch{genB}; !l.clear(genB, test.from, test.seen, test.until) {
			t.Errorf("%s: does not clear the primary itself", test.name)
		}
	}
}
