package bayeux

import (
	"context"
	"errors"
	"testing"

	"comet/pubsub"
)

// changing is a store whose only record is changed by another node before every change.
type changing struct{ changes int }

func (*changing) LoadRecord(context.Context, string) (pubsub.Record, error) {
	return pubsub.Record{Version: 1}, nil
}

func (c *changing) ChangeRecord(context.Context, string, pubsub.RecordChange) (uint64, error) {
	c.changes++
	return 0, pubsub.ErrRecordChanged
}

// A change that others forestall every time fails in the end.
func TestChangeForestalled(t *testing.T) {
	store := &changing{}
	s := &Server{options: Options{Records: store}}
	next, err := s.change(t.Context(), "client", &state{version: 1}, func(*state) error { return nil })
	if next != nil || !errors.Is(err, pubsub.ErrRecordChanged) || store.changes != conflicts {
		t.Errorf("got %+v, %v after %d changes, want %v after %d", next, err, store.changes, pubsub.ErrRecordChanged, conflicts)
	}
}
