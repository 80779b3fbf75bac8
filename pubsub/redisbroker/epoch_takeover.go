package redisbroker

import (
	"sync"
	"time"
)

// replicaStatuses are what this node last saw of the primaries, where Options.MinReplicas
// is set. They say whether a takeover can have lost anything acknowledged.
//
// A primary that has had no more than MinReplicas replicas in its epoch, counting
// those that were away, acknowledges nothing before all of them have it. So
// nothing acknowledged is lost if one of them takes over, and it does if it was
// running when the node looked, and had by then, or later, what the primary had:
// second_repl_offset is how far it followed master_replid2. A primary that
// restarted fails the first test (Redis 7 gives it a master_replid2 too, of its
// snapshot), a replica that lagged or was cut off the second one.
//
// With more replicas one of them may lack what others acknowledged. Which of them
// are connected at a look says nothing: they come and go between two looks.
type replicaStatuses struct {
	mu sync.Mutex
	at map[string]replicaStatus // by master_replid
}

type replicaStatus struct {
	offset int64 // master_repl_offset
	when   time.Time
	more   bool // more than MinReplicas replicas were seen in this epoch: it never counts
}

// probeReply is what probe.lua answers of a primary.
type probeReply struct {
	replid   string
	offset   int64
	replicas int // also those that are away or not in sync yet
}

// record notes a look at a primary, asked for at when, that acknowledges what need
// replicas have.
func (r *replicaStatuses) record(reply probeReply, when time.Time, need int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.at[reply.replid]
	switch {
	case before.more:
	case reply.replicas < need: // it can acknowledge nothing, so the look before still counts
	default:
		if !known {
			r.evictOldest()
		}
		r.at[reply.replid] = replicaStatus{offset: reply.offset, when: when, more: reply.replicas > need}
	}
}

// evictOldest forgets the oldest look where there are many.
func (r *replicaStatuses) evictOldest() {
	if r.at == nil {
		r.at = make(map[string]replicaStatus)
	}
	if len(r.at) < maxEpochs {
		return
	}
	oldest := ""
	for replid, status := range r.at {
		if oldest == "" || status.when.Before(r.at[oldest].when) {
			oldest = replid
		}
	}
	delete(r.at, oldest)
}

// args are the looks as epoch_history.lua takes them.
func (r *replicaStatuses) args() (args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for replid, status := range r.at {
		if !status.more {
			args = append(args, replid, status.offset, time.Since(status.when).Milliseconds())
		}
	}
	return args
}
