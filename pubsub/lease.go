package pubsub

import (
	"encoding/json"
	"time"
)

// The types of the ephemeral messages about members that join and leave. Their
// Data is a Member without Since.
const (
	JoinType  = ControlPrefix + "join"
	LeaveType = ControlPrefix + "leave"
)

// MaxInfoBytes bounds Member.Info.
const MaxInfoBytes = 1 << 10

// Member is a user who is in a channel, however many connections and nodes
// they are there with. As JSON:
//
//	{"user":"alice","info":{…},"since":"2026-01-02T03:04:05.678Z"}
type Member struct {
	User  string          `json:"user"`           // 1 to 255 bytes of UTF-8 without control characters
	Info  json.RawMessage `json:"info,omitempty"` // at most MaxInfoBytes, as CompactJSON makes it; nil: none
	Since time.Time       `json:"since,omitzero"` // when they came, by the broker's clock, to the millisecond
}

// Data is the Data of m's join and leave messages.
func (m *Member) Data() []byte {
	user, err := TextData(m.User)
	if err != nil {
		user = []byte(`""`) // it is UTF-8, see User
	}
	b := append([]byte(`{"user":`), user...)
	if m.Info != nil {
		b = append(append(b, `,"info":`...), m.Info...)
	}
	return append(b, '}')
}

// Lease is what one node reports of one channel's presence: which users have
// joined and left there, and that the node is alive. The Owner stands for the
// node, for this channel alone.
//
// The broker keeps for each owner its members, until the lease expires by the
// broker's own clock, and the number of leases with changes. A user is a member
// while any owner has them. A Lease that adds or removes a member makes the broker
// publish the join or leave, once, in the same step.
type Lease struct {
	Channel string
	Owner   LeaseOwner
	// Version is how many leases with changes the broker has answered for
	// Owner. If the broker has seen another number it changes nothing, and
	// answers Lost. 0 begins a new Owner.
	Version int64
	// Created is the LeaseResult.Created that the node knows, 0 if none. Members of
	// Join that are Known are announced only if the broker has the same Created and
	// lacks them.
	Created int64

	Join  []LeaseMember
	Leave []string // users

	TTL      time.Duration // how long the lease lasts, unless it is renewed
	FinalTTL time.Duration // unless 0, this is the last Lease, and lasts that long
	// MemberLimit bounds the members of the channel: users that join beyond it are
	// not members.
	MemberLimit int
	// ExpireLimit has the broker remove up to that many members of expired leases.
	// Each counts as having left. 0: none.
	ExpireLimit int
}

// LeaseOwner names the owner of leases: 16 random hexadecimal digits.
type LeaseOwner string

// LeaseMember is a member that an owner adds.
type LeaseMember struct {
	Member      // without Since
	Known  bool // was there before, so that the subscribers know already
}

// LeaseResult answers a Lease.
type LeaseResult struct {
	// Created says when the broker created the channel's presence. It changes if the
	// broker lost the presence, or removed it because it was empty. Never 0.
	Created int64
	Epoch   Epoch // of the primary that answered
	Lost    bool  // nothing was done: begin a new Owner, with everybody
	More    bool  // more leases have expired than ExpireLimit allowed to remove
	Err     error // then nothing else is set, and it may have been done or not
}

// changes reports whether h adds or removes members.
func (h *Lease) changes() bool { return len(h.Join)+len(h.Leave) > 0 }

// MemberPage is a part of a channel's members, in the order of the users' bytes.
type MemberPage struct {
	Count   int // members in all
	Members []Member
	More    bool // there are members after the last one
}

// MaxMembers bounds the members of one MemberPage, and what one Lease changes.
const MaxMembers = 1000
