package pubsub

import (
	"context"
	"errors"
	"time"
)

// Record is a small set of named values that every node may change, such as the session
// of a client that sends each request to another node. Its Version changes with every
// change; 0: the record does not exist.
type Record struct {
	Version uint64
	Fields  map[string]string
}

// RecordChange is a change of a record. It applies to one version of it, so that of two
// nodes that change the same version only one succeeds.
type RecordChange struct {
	Version uint64            // that is changed; 0: the record must not exist, and is created
	Set     map[string]string // fields to add or replace
	Remove  []string          // fields to remove
	TTL     time.Duration     // how long the record is kept after the change; 0 removes it
}

// ErrRecordChanged says that a record has another version than the one to change, or does
// not exist. Nothing was changed.
var ErrRecordChanged = errors.New("the record was changed by another node")

// RecordStore keeps records for all nodes. Its methods may be called concurrently. Keys
// are channel names (ValidateChannel) that begin with ControlPrefix. Errors are
// ErrUnavailable, ErrUnreadable, ErrClosed, or as noted.
type RecordStore interface {
	// LoadRecord returns a record; one with Version 0 if it does not exist or its TTL is
	// over.
	LoadRecord(ctx context.Context, key string) (Record, error)
	// ChangeRecord carries out a change and returns the new version; 0 if the record was
	// removed. It may return ErrRecordChanged, and ErrOutcomeUnknown if the change may or
	// may not have been carried out.
	ChangeRecord(ctx context.Context, key string, c RecordChange) (version uint64, err error)
}
