package pubsub

import (
	"encoding/json"
	"time"
)

// The types of the ephemeral messages that tell who comes and goes. Their Data
// is a Member without Since.
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

// Data is the Data of the messages that tell of m.
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

// Lease is what one node says of one channel's presence: who has come and
// gone there, and that it is alive. A node says it to the broker under an
// Owner, which is its own for this channel alone.
//
// The broker keeps, for each holder, whom it holds until its lease is over, by
// the broker's own clock, and how many leases with changes it has had. A
// member is there as long as any holder holds them. Whoever makes a member
// come or go, by a Lease, makes the broker tell so, once, in the same step.
type Lease struct {
	Channel string
	Owner   LeaseOwner
	// Version is how many leases with changes the broker has answered for
	// Owner. If the broker has seen another number it changes nothing, and
	// answers Lost. 0 begins a new Owner.
	Version int64
	// Created is the presence's life that the node knows, 0 if none. Members of Join that
	// are Known are told of only if they are missing in that same life.
	Created int64

	Join  []LeaseMember
	Leave []string // users

	TTL      time.Duration // how long Owner holds from now on, unless it says more
	FinalTTL time.Duration // unless 0, it will say no more, and holds just so long
	// MemberLimit bounds the members of the channel: who comes beyond it is not there.
	MemberLimit int
	// ExpireLimit has the broker let go of holders whose lease is over: of at most so
	// many members, each of which counts as having left. 0: none.
	ExpireLimit int
}

// LeaseOwner names a holder: 16 hexadecimal digits, drawn by chance.
type LeaseOwner string

// LeaseMember is somebody who is in a channel at a holder.
type LeaseMember struct {
	Member      // without Since
	Known  bool // was there before, so that the subscribers know already
}

// LeaseResult answers a Lease.
type LeaseResult struct {
	// Created is the life of the channel's presence: another one if the broker has
	// lost it in between, or let go of it as nobody held anything. Never 0.
	Created int64
	Epoch   Epoch // of the primary that answered
	Lost    bool  // nothing was done: begin a new Owner, with everybody
	More    bool  // more leases are over than ExpireLimit let go of
	Err     error // then nothing else is set, and it may have been done or not
}

// changes reports whether h changes who is held.
func (h *Lease) changes() bool { return len(h.Join)+len(h.Leave) > 0 }

// MemberPage is a part of who is in a channel, in the order of the users'
// bytes.
type MemberPage struct {
	Count   int // members in all
	Members []Member
	More    bool // there are members behind the last one
}

// MaxMembers bounds the members of one MemberPage, and what one Lease changes.
const MaxMembers = 1000
