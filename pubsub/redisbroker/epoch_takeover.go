package redisbroker

import (
	"sync"
	"time"
)

// looks are what this node last saw of the primaries, where Options.MinReplicas
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
type looks struct {
	mu sync.Mutex
	at map[string]look // by master_replid
}

type look struct {
	offset int64 // master_repl_offset
	when   time.Time
	more   bool // more than MinReplicas replicas were seen in this epoch: it never counts
}

// sight is what probe.lua answers of a primary.
type sight struct {
	replid   string
	offset   int64
	replicas int // also those that are away or not in sync yet
}

// saw notes a look at a primary, asked for at when, that acknowledges what need
// replicas have.
func (l *looks) saw(s sight, when time.Time, need int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.at[s.replid]
	switch {
	case before.more:
	case s.replicas < need: // it can acknowledge nothing, so the look before still counts
	default:
		if !known {
			l.makeRoom()
		}
		l.at[s.replid] = look{offset: s.offset, when: when, more: s.replicas > need}
	}
}

// makeRoom forgets the oldest look where there are many.
func (l *looks) makeRoom() {
	if l.at == nil {
		l.at = make(map[string]look)
	}
	if len(l.at) < maxLives {
		return
	}
	oldest := ""
	for replid, look := range l.at {
		if oldest == "" || look.when.Before(l.at[oldest].when) {
			oldest = replid
		}
	}
	delete(l.at, oldest)
}

// args are the looks as life.lua takes them.
func (l *looks) args() (args []any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for replid, look := range l.at {
		if !look.more {
			args = append(args, replid, look.offset, time.Since(look.when).Milliseconds())
		}
	}
	return args
}
