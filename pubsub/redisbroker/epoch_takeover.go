package redisbroker

import (
	"sync"
	"time"
)

// replicaStatuses keeps the newest status of each primary, if Options.MinReplicas is set.
// epoch_history.lua decides with it whether a takeover can have lost an acknowledged
// message.
//
// A primary that has had at most MinReplicas replicas in its epoch, disconnected ones
// included, acknowledges a message only when all of them have it. So no such message is
// lost if one of them takes over. The new primary was one of them if it was running at
// the time of the status, and if it followed master_replid2 (as far as
// second_repl_offset) beyond the offset of the status. A primary that restarted fails
// the first test (Redis 7 gives it a master_replid2 too, of its snapshot). A replica that
// lagged or was cut off fails the second one.
//
// With more replicas, one of them may lack messages that others acknowledged. The number
// connected at the time of a status proves nothing: replicas come and go in between.
type replicaStatuses struct {
	mu sync.Mutex
	at map[string]replicaStatus // by master_replid
}

type replicaStatus struct {
	offset int64 // master_repl_offset
	when   time.Time
	more   bool // more than MinReplicas replicas were seen in this epoch; it never counts
}

// probeReply is what the answer of probe.lua says of a primary.
type probeReply struct {
	replid   string
	offset   int64
	replicas int // including those that are disconnected or not in sync yet
}

// record keeps the status of a primary that was probed at the time when and needs need
// replicas to acknowledge a message.
func (r *replicaStatuses) record(reply probeReply, when time.Time, need int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.at[reply.replid]
	switch {
	case before.more:
	case reply.replicas < need: // it can acknowledge nothing, so the status before still counts
	default:
		if !known {
			r.evictOldest()
		}
		r.at[reply.replid] = replicaStatus{offset: reply.offset, when: when, more: reply.replicas > need}
	}
}

// evictOldest makes room for one more status.
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

// args returns the statuses as arguments of epoch_history.lua.
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
