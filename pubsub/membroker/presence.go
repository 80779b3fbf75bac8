package membroker

import (
	"context"
	"maps"
	"slices"
	"sort"
	"time"

	"comet/pubsub"
)

// presence is who is in one channel. Its log's lock guards it.
type presence struct {
	epoch   int64
	expires time.Time
	holders map[pubsub.LeaseOwner]*holder
	members map[string]*member
	sorted  []string // the users, or nil if they have changed since
}

// holder is one node, for this channel.
type holder struct {
	version int64
	expires time.Time
	users   map[string]struct{}
}

type member struct {
	pubsub.Member
	holders int
}

// UpdateLeases implements pubsub.Broker.
func (b *Broker) UpdateLeases(_ context.Context, holdings []pubsub.Lease) []pubsub.LeaseResult {
	answers := make([]pubsub.LeaseResult, len(holdings))
	for i := range holdings {
		if b.isClosed() {
			answers[i].Err = pubsub.ErrClosed
			continue
		}
		l := b.cluster.locked(holdings[i].Channel)
		answers[i] = l.hold(&holdings[i], b.cluster.epoch)
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

func (l *channelLog) hold(h *pubsub.Lease, epoch pubsub.Epoch) pubsub.LeaseResult {
	now := time.Now()
	if l.presence == nil {
		l.presence = &presence{epoch: now.UnixMicro(), holders: make(map[pubsub.LeaseOwner]*holder), members: make(map[string]*member)}
	}
	p := l.presence
	p.expires = now.Add(h.TTL)
	answer := pubsub.LeaseResult{Created: p.epoch, Epoch: epoch}
	from := p.holders[h.Owner]
	if from == nil {
		from = &holder{users: make(map[string]struct{})}
	}
	if from.version != h.Version {
		answer.Lost = true
		return answer
	}
	quiet := h.Created != 0 && h.Created != p.epoch
	for i := range h.Join {
		l.enter(from, &h.Join[i], h.MemberLimit, quiet && h.Join[i].Known, now)
	}
	for _, user := range h.Leave {
		l.exit(from, user)
	}
	if len(h.Join)+len(h.Leave) > 0 {
		from.version++
		p.holders[h.Owner] = from
	}
	from.expires = now.Add(h.TTL)
	if h.FinalTTL > 0 {
		from.expires = now.Add(h.FinalTTL)
	}
	answer.More = l.letGo(h.ExpireLimit, now)
	return answer
}

func (l *channelLog) enter(from *holder, e *pubsub.LeaseMember, keep int, quiet bool, now time.Time) {
	p := l.presence
	if _, has := from.users[e.User]; has {
		return
	}
	m := p.members[e.User]
	switch {
	case m != nil:
		m.holders++
	case len(p.members) >= keep:
		return
	default:
		m = &member{Member: e.Member, holders: 1}
		m.Since = now.UTC().Truncate(time.Millisecond)
		p.members[e.User], p.sorted = m, nil
		if !quiet {
			l.tell(pubsub.JoinType, m)
		}
	}
	from.users[e.User] = struct{}{}
}

func (l *channelLog) exit(from *holder, user string) {
	p := l.presence
	if _, has := from.users[user]; !has {
		return
	}
	delete(from.users, user)
	m := p.members[user]
	if m.holders--; m.holders == 0 {
		delete(p.members, user)
		p.sorted = nil
		l.tell(pubsub.LeaveType, m)
	}
}

// letGo lets go of at most budget members whose holder's lease is over.
func (l *channelLog) letGo(budget int, now time.Time) (more bool) {
	if budget == 0 {
		return false
	}
	for id, h := range l.presence.holders {
		if !now.After(h.expires) {
			continue
		}
		for user := range h.users {
			if budget == 0 {
				return true
			}
			l.exit(h, user)
			budget--
		}
		delete(l.presence.holders, id)
	}
	return false
}

func (l *channelLog) tell(kind string, m *member) {
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
