package pubsub

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// channelPresence is one channel's presence at a node. Presence.mu guards it.
type channelPresence struct {
	channel string
	open    bool // the hub has it: it may have subscribers here
	users   map[string]*member
	changed []*member // the broker may not know these, oldest first
	queued  bool      // in Presence.due
	over    bool      // the channel has no presence any more: send nothing about it

	owner   LeaseOwner
	version int64
	created int64 // the last one in which all of users were held
	epoch   Epoch
	missing int       // users that the subscribers know, and the broker does not any more
	settled time.Time // since when the same broker has answered
}

// member is a user in a channel at this node.
type member struct {
	channel     *channelPresence
	user        string
	info        json.RawMessage
	connections int
	left        time.Time // when connections became 0 last

	going   bool // connections has been 0 for Grace
	held    bool // the broker has it so
	known   bool // subscribers got the join, and not the leave
	changed bool // in channelPresence.changed
}

func newLeaseOwner() LeaseOwner { return LeaseOwner(fmt.Sprintf("%016x", rand.Uint64())) }

func (r *channelPresence) markChanged(u *member) {
	if !u.changed {
		u.changed = true
		r.changed = append(r.changed, u)
	}
}

// sent is a Lease with what it is about.
type sent struct {
	lease        Lease
	channel      *channelPresence
	joined, left []*member
}

// nextLease returns the next Lease to send, with at most most users that join or leave.
func (r *channelPresence) nextLease(most int, o *PresenceOptions, now time.Time) sent {
	s := sent{channel: r, lease: Lease{
		Channel: r.channel, Owner: r.owner, Version: r.version, Created: r.created,
		TTL: o.lease(), MemberLimit: o.MemberLimit,
	}}
	if now.Sub(r.settled) >= o.settling() {
		s.lease.ExpireLimit = MaxMembers
	}
	taken := 0
	for ; taken < len(r.changed) && s.size() < most; taken++ {
		switch u := r.changed[taken]; {
		case u.going && u.held:
			s.left = append(s.left, u)
			s.lease.Leave = append(s.lease.Leave, u.user)
		case !u.going && !u.held:
			s.joined = append(s.joined, u)
			s.lease.Join = append(s.lease.Join, LeaseMember{Member{User: u.user, Info: u.info}, u.known})
		default:
			u.changed = false
			r.forgetGone(u)
		}
	}
	r.changed = r.changed[taken:]
	return s
}

func (s *sent) size() int { return len(s.joined) + len(s.left) }

// forgetGone removes a user who is neither here nor held.
func (r *channelPresence) forgetGone(u *member) {
	if u.going && !u.held && r.users[u.user] == u {
		if u.known {
			r.missing--
		}
		delete(r.users, u.user)
	}
}

// finalLease returns the last Lease of a node that closes.
func (r *channelPresence) finalLease(o *PresenceOptions) Lease {
	return Lease{
		Channel: r.channel, Owner: r.owner, Version: r.version, Created: r.created,
		TTL: o.lease(), MemberLimit: o.MemberLimit, FinalTTL: max(o.Grace, time.Millisecond),
	}
}

// answered applies the broker's answer to s. again reports whether there is more
// to send at once.
func (r *channelPresence) answered(s *sent, answer *LeaseResult, now time.Time) (again bool) {
	for _, u := range append(s.joined, s.left...) {
		u.changed = false
	}
	switch {
	case answer.Err != nil:
		r.settled = now
		r.retry(s)
		return false
	case answer.Lost:
		r.newLease()
		return true
	}
	if answer.Epoch != r.epoch {
		r.epoch, r.settled = answer.Epoch, now
	}
	if s.lease.changes() {
		r.version++
	}
	for _, u := range s.joined {
		if u.known {
			r.missing--
		}
		u.held, u.known = true, true
	}
	for _, u := range s.left {
		u.held, u.known = false, false
	}
	if r.missing == 0 {
		r.created = answer.Created
	}
	r.retry(s)
	return answer.More || len(r.changed) > 0
}

// retry queues the users of s again where that is needed: the change may have
// failed, or be undone meanwhile.
func (r *channelPresence) retry(s *sent) {
	for _, u := range append(s.joined, s.left...) {
		if r.forgetGone(u); r.users[u.user] == u && u.going == u.held {
			r.markChanged(u)
		}
	}
}

// newLease begins again with a new owner: the broker never got the old one's
// leases, or has removed them.
func (r *channelPresence) newLease() {
	r.owner, r.version = newLeaseOwner(), 0
	r.changed, r.missing = nil, 0
	for _, u := range r.users {
		u.held, u.changed = false, false
		if u.known {
			r.missing++
		}
		r.markChanged(u)
	}
}
