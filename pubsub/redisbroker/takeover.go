package redisbroker

import (
	"sync"
	"time"
)

// looks are what this node last saw of the primaries, where Options.MinReplicas
// is set. They say whether a takeover can have lost anything acknowledged.
//
// While exactly MinReplicas replicas follow a primary, nothing is acknowledged
// before all of them have it. So nothing acknowledged is lost if one of them takes
// over, and it does if it was running when the node looked, and had by then, or
// later, what the primary had: second_repl_offset is how far it followed
// master_replid2. A primary that restarted fails the first test (Redis 7 gives it a
// master_replid2 too, of its snapshot), a replica that lagged or was cut off the
// second one. With more replicas, one of them may lack
// what others acknowledged.
//
// Between the last look, one per probe, and its end a primary may have lost that
// replica and got another one, which acknowledged more. That takes three faults in
// two seconds, and is not noticed.
type looks struct {
	mu sync.Mutex
	at map[string]look // by master_replid
}

type look struct {
	offset int64 // master_repl_offset
	when   time.Time
}

// sight is what probe.lua answers of a primary.
type sight struct {
	replid   string
	offset   int64
	replicas int // connected, also those that are not in sync yet
}

// saw notes a look at a primary, asked for at when, that acknowledges what need
// replicas have.
func (l *looks) saw(s sight, when time.Time, need int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s.replicas < need: // it can acknowledge nothing, so the look before still counts
	case s.replicas > need:
		delete(l.at, s.replid)
	default:
		if l.at == nil || len(l.at) >= maxLives {
			l.at = make(map[string]look)
		}
		l.at[s.replid] = look{s.offset, when}
	}
}

// args are the looks as life.lua takes them.
func (l *looks) args() (args []any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for replid, look := range l.at {
		args = append(args, replid, look.offset, time.Since(look.when).Milliseconds())
	}
	return args
}
