package membroker

import (
	"context"
	"maps"
	"slices"
	"sort"
	"time"

	"comet/pubsub"
)

// presence is one channel's members. Its log's lock guards it.
type presence struct {
	created int64
	expires time.Time
	leases  map[pubsub.LeaseOwner]*lease
	members map[string]*member
	sorted  []string // the users, or nil if they have changed since
}

// lease is what one node has in this channel.
type lease struct {
	version int64
	expires time.Time
	users   map[string]struct{}
}

type member struct {
	pubsub.Member
	leases int
}

// UpdateLeases implements pubsub.Broker.
func (b *Broker) UpdateLeases(_ context.Context, leases []pubsub.Lease) []pubsub.LeaseResult {
	answers := make([]pubsub.LeaseResult, len(leases))
	for i := range leases {
		if b.isClosed() {
			answers[i].Err = pubsub.ErrClosed
			continue
		}
		l := b.cluster.locked(leases[i].Channel)
		answers[i] = l.updateLease(&leases[i], b.cluster.epoch)
		l.mu.Unlock()
	}
	return answers
}

// Members implements pubsub.Broker.
func (b *Broker) Members(_ context.Context, channel, after string, limit int) (pubsub.MemberPage, error) {
	if b.isClosed() {
		return pubsub.MemberPage{}, pubsub.ErrClosed
	}
	l := b.cluster.locked(channel)
	defer l.mu.Unlock()
	if l.presence == nil {
		return pubsub.MemberPage{}, nil
	}
	return l.presence.page(after, limit), nil
}

func (l *channelLog) updateLease(h *pubsub.Lease, epoch pubsub.Epoch) pubsub.LeaseResult {
	now := time.Now()
	if l.presence == nil {
		l.presence = &presence{created: now.UnixMicro(), leases: make(map[pubsub.LeaseOwner]*lease), members: make(map[string]*member)}
	}
	p := l.presence
	p.expires = now.Add(h.TTL)
	answer := pubsub.LeaseResult{Created: p.created, Epoch: epoch}
	from := p.leases[h.Owner]
	if from == nil {
		from = &lease{users: make(map[string]struct{})}
	}
	if from.version != h.Version {
		answer.Lost = true
		return answer
	}
	quiet := h.Created != 0 && h.Created != p.created
	for i := range h.Join {
		l.addMember(from, &h.Join[i], h.MemberLimit, quiet && h.Join[i].Known, now)
	}
	for _, user := range h.Leave {
		l.removeMember(from, user)
	}
	if len(h.Join)+len(h.Leave) > 0 {
		from.version++
		p.leases[h.Owner] = from
	}
	from.expires = now.Add(h.TTL)
	if h.FinalTTL > 0 {
		from.expires = now.Add(h.FinalTTL)
	}
	answer.More = l.expireLeases(h.ExpireLimit, now)
	return answer
}

func (l *channelLog) addMember(from *lease, e *pubsub.LeaseMember, keep int, quiet bool, now time.Time) {
	p := l.presence
	if _, has := from.users[e.User]; has {
		return
	}
	m := p.members[e.User]
	switch {
	case m != nil:
		m.leases++
	case len(p.members) >= keep:
		return
	default:
		m = &member{Member: e.Member, leases: 1}
		m.Since = now.UTC().Truncate(time.Millisecond)
		p.members[e.User], p.sorted = m, nil
		if !quiet {
			l.announce(pubsub.JoinType, m)
		}
	}
	from.users[e.User] = struct{}{}
}

func (l *channelLog) removeMember(from *lease, user string) {
	p := l.presence
	if _, has := from.users[user]; !has {
		return
	}
	delete(from.users, user)
	m := p.members[user]
	if m.leases--; m.leases == 0 {
		delete(p.members, user)
		p.sorted = nil
		l.announce(pubsub.LeaveType, m)
	}
}

// expireLeases removes at most budget members of expired leases. more reports
// whether there are others.
func (l *channelLog) expireLeases(budget int, now time.Time) (more bool) {
	if budget == 0 {
		return false
	}
	for id, h := range l.presence.leases {
		if !now.After(h.expires) {
			continue
		}
		for user := range h.users {
			if budget == 0 {
				return true
			}
			l.removeMember(h, user)
			budget--
		}
		delete(l.presence.leases, id)
	}
	return false
}

func (l *channelLog) announce(kind string, m *member) {
	l.relay(&pubsub.Message{Channel: l.channel, Type: kind, Data: m.Data(), Time: time.Now().UTC().Truncate(time.Millisecond)})
}

func (p *presence) page(after string, limit int) pubsub.MemberPage {
	if p.sorted == nil {
		p.sorted = slices.Sorted(maps.Keys(p.members))
	}
	begin := sort.SearchStrings(p.sorted, after)
	if begin < len(p.sorted) && p.sorted[begin] == after {
		begin++
	}
	users := p.sorted[begin:min(begin+limit, len(p.sorted))]
	page := pubsub.MemberPage{Count: len(p.members), Members: make([]pubsub.Member, len(users)), More: begin+limit < len(p.sorted)}
	for i, user := range users {
		page.Members[i] = p.members[user].Member
	}
	return page
}
