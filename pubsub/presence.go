package pubsub

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// PresenceOptions of a Presence. The zero value of each field but Enabled means its
// default.
type PresenceOptions struct {
	Enabled     func(channel string) bool // which channels have presence; asked by many at once; see DropDisabled
	TTL         time.Duration             // within which the members of a node that died have left; default 30s
	Grace       time.Duration             // how long a user may be without a connection and has not left; default 5s
	MemberLimit int                       // per channel; users that join beyond it are not members; default 100,000
	Timeout     time.Duration             // of one call of the broker; default 3s
	Logger      *slog.Logger              // default: none
}

func (o PresenceOptions) withDefaults() PresenceOptions {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&o.TTL, 30*time.Second)
	set(&o.Grace, 5*time.Second)
	set(&o.Timeout, 3*time.Second)
	if o.MemberLimit == 0 {
		o.MemberLimit = 100_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// A node renews its leases every fifth of the TTL, and may miss two of that
// before a lease is over; another node finds that in the fifth after it.
func (o *PresenceOptions) interval() time.Duration { return o.TTL / 5 }
func (o *PresenceOptions) lease() time.Duration    { return o.TTL * 3 / 5 }

// settling is how long the broker must have answered before a node believes
// that a lease is over: all that are alive have renewed theirs by then.
func (o *PresenceOptions) settling() time.Duration { return 2 * o.interval() }

// Presence is one node's side of the channels' members. Join and Leave only note a
// change; one goroutine sends the changes to the broker, and retries until it
// answers. Its methods may be called concurrently.
type Presence struct {
	broker  Broker
	options PresenceOptions
	wakeup  chan struct{} // holds a token while the loop may have something to do
	stop    context.CancelFunc
	done    sync.WaitGroup
	warned  bool // of the loop, see logFailure

	mu       sync.Mutex // guards all below, and all channels
	closed   bool
	channels map[string]*channelPresence
	due      []*channelPresence // that have something to send to the broker, each once
	left     []departure        // of the last Grace, oldest first
}

// departure is that a user's last connection in a channel ended.
type departure struct {
	user *member
	at   time.Time
}

// Membership is one connection of a user in a channel. The zero value is not in
// a channel.
type Membership struct{ user *member }

// NewPresence starts the presence of a node over b, which it does not close.
// Close the presence first.
func NewPresence(b Broker, o PresenceOptions) *Presence {
	ctx, stop := context.WithCancel(context.Background())
	p := &Presence{
		broker: b, options: o.withDefaults(), stop: stop,
		wakeup: make(chan struct{}, 1), channels: make(map[string]*channelPresence),
	}
	p.done.Go(func() { p.run(ctx) })
	return p
}

// Enabled reports whether the channel has presence.
func (p *Presence) Enabled(channel string) bool { return p.options.Enabled(channel) }

// Join notes a connection of user in the channel; info is about the user, and
// counts until they left. It never waits. ok is false if the channel has no
// presence; else the membership must be ended with Leave, once.
func (p *Presence) Join(channel, user string, info json.RawMessage) (s Membership, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.options.Enabled(channel) {
		return Membership{}, false
	}
	r := p.channel(channel)
	u := r.users[user]
	if u == nil {
		u = &member{channel: r, user: user, info: info}
		r.users[user] = u
		p.change(u)
	}
	u.connections++
	if u.going {
		u.going = false
		p.change(u)
	}
	return Membership{u}, true
}

// Leave ends a membership. The user leaves the channel after Grace without one. It
// never waits.
func (p *Presence) Leave(s Membership) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.user.connections--; s.user.connections > 0 || p.closed {
		return
	}
	s.user.left = time.Now()
	p.left = append(p.left, departure{s.user, s.user.left})
	if len(p.left) == 1 {
		p.wake()
	}
}

// ChannelOpened and ChannelClosed belong in the hub's Options.OnOpened and
// OnClosed: a node ends the expired leases of others in channels that it has open.
func (p *Presence) ChannelOpened(channel string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.options.Enabled(channel) {
		p.channel(channel).open = true
	}
}

// ChannelClosed is ChannelOpened's counterpart.
func (p *Presence) ChannelClosed(channel string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.channels[channel]; r != nil {
		r.open = false
		p.tidy(r)
	}
}

// Members returns a page of the channel's members, over all nodes: at most limit, 1
// to MaxMembers, of the users that follow after; "": from the first. The error
// is an *InvalidError for a bad channel, or the broker's.
func (p *Presence) Members(ctx context.Context, channel, after string, limit int) (MemberPage, error) {
	if err := ValidateChannel(channel); err != nil {
		return MemberPage{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.options.Timeout)
	defer cancel()
	return p.broker.Members(ctx, channel, after, limit)
}

// DropDisabled must be called after Enabled has changed its answer for a channel.
// The leases of channels that lost presence are not renewed: they expire without
// leave messages. For channels that have presence now, call ChannelOpened if they
// are open; existing connections are not added.
func (p *Presence) DropDisabled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for channel, r := range p.channels {
		if !p.options.Enabled(channel) {
			r.over = true
			delete(p.channels, channel)
		}
	}
	p.due = slices.DeleteFunc(p.due, func(r *channelPresence) bool { return r.over })
}

// Close stops the presence. Its members leave after Grace, unless they join at
// another node before. It may be called more than once.
func (p *Presence) Close() {
	p.stop()
	p.done.Wait()
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	if first {
		p.leaveAll()
	}
}

// channel finds or makes the presence of a channel; p.mu must be held.
func (p *Presence) channel(channel string) *channelPresence {
	r := p.channels[channel]
	if r == nil {
		r = &channelPresence{channel: channel, owner: newLeaseOwner(), settled: time.Now(), users: make(map[string]*member)}
		p.channels[channel] = r
	}
	return r
}

// tidy forgets a channel without members and subscribers here.
func (p *Presence) tidy(r *channelPresence) {
	if !r.open && len(r.users) == 0 && p.channels[r.channel] == r {
		delete(p.channels, r.channel)
	}
}

// change queues u: the broker may not know its state.
func (p *Presence) change(u *member) {
	u.channel.markChanged(u)
	p.queue(u.channel)
	p.wake()
}

func (p *Presence) queue(r *channelPresence) {
	if !r.queued && !r.over {
		r.queued = true
		p.due = append(p.due, r)
	}
}

func (p *Presence) wake() {
	select {
	case p.wakeup <- struct{}{}:
	default:
	}
}

// leaveAll ends the leases of this node at the broker.
func (p *Presence) leaveAll() {
	var last []Lease
	p.mu.Lock()
	for _, r := range p.channels {
		if r.version > 0 {
			last = append(last, r.finalLease(&p.options))
		}
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), p.options.Timeout)
	defer cancel()
	for len(last) > 0 {
		some := last[:min(len(last), MaxMembers)]
		last = last[len(some):]
		for _, answer := range p.broker.UpdateLeases(ctx, some) {
			if answer.Err != nil { // the leases end by themselves
				p.options.Logger.Warn("presence could not be ended at the broker; members leave when their leases expire", "error", answer.Err)
				return
			}
		}
	}
}
