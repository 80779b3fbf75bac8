package redisbroker

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"comet/pubsub"
)

// UpdateLeases implements pubsub.Broker. The leases of a primary share one pipeline.
func (b *Broker) UpdateLeases(ctx context.Context, holdings []pubsub.Lease) []pubsub.LeaseResult {
	answers := make([]pubsub.LeaseResult, len(holdings))
	ctx, end, err := b.startCall(ctx)
	if err != nil {
		for i := range answers {
			answers[i].Err = err
		}
		return answers
	}
	defer end()
	b.eachPrimary(ctx, len(holdings), func(i int) string { return holdings[i].Channel },
		func(i int, err error) { answers[i].Err = publishError(err) },
		func(p *primary, at []int) { b.holdGroup(ctx, p, holdings, at, answers) })
	for i := range answers {
		b.errorCounts.count(ToPresent, answers[i].Err)
	}
	return answers
}

// redirects is the maximum number of calls that are sent again at a time.
const redirects = 16

// holdGroup sends the leases at the given indices, of channels that p has.
func (b *Broker) holdGroup(ctx context.Context, p *primary, holdings []pubsub.Lease, at []int, answers []pubsub.LeaseResult) {
	cmds := b.holdAll(ctx, p, holdings, at, false)
	// Redis reads a pipeline in pieces, and another client may load or flush the script in
	// between. So each answer counts for its own call only. Their order does not matter:
	// each lease is of another channel.
	var missing, again []int
	for n, cmd := range cmds {
		if notLoaded(cmd.Err()) {
			missing, again = append(missing, n), append(again, at[n])
		}
	}
	if len(again) > 0 {
		for n, cmd := range b.holdAll(ctx, p, holdings, again, true) {
			cmds[missing[n]] = cmd
		}
	}
	// The timeout is short because all leases wait for this call. The presence sends a
	// lease that failed again.
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout/4)
	defer cancel()
	var others errgroup.Group
	others.SetLimit(redirects)
	for n, cmd := range cmds {
		i := at[n]
		if kind, _ := redirected(cmd.Err()); kind == none && !notLoaded(cmd.Err()) {
			answers[i] = b.held(cmd)
			continue
		}
		others.Go(func() error {
			keys, args := b.holdArgs(&holdings[i])
			cmd, _ := b.callScript(ctx, holdScript, keys, args)
			answers[i] = b.held(cmd)
			return nil
		})
	}
	_ = others.Wait() // each answer has its own error
}

// holdAll sends the leases at the given indices in one pipeline. With load it loads the
// script first.
func (b *Broker) holdAll(ctx context.Context, p *primary, holdings []pubsub.Lease, at []int, load bool) []*redis.Cmd {
	return holdScript.evaluateAll(ctx, p.client, len(at), load, func(n int) ([]string, []any) { return b.holdArgs(&holdings[at[n]]) })
}

// holdArgs returns the KEYS and ARGV of hold.lua.
func (b *Broker) holdArgs(h *pubsub.Lease) (keys []string, args []any) {
	args = append(make([]any, 0, 10+3*len(h.Join)+len(h.Leave)),
		b.verb(), b.keys.live(h.Channel), string(h.Owner), h.Version, h.Created,
		h.TTL.Milliseconds(), h.FinalTTL.Milliseconds(), h.MemberLimit, h.ExpireLimit, len(h.Join))
	for i := range h.Join {
		e := &h.Join[i]
		known := 0
		if e.Known {
			known = 1
		}
		args = append(args, known, e.User, e.Data())
	}
	for _, user := range h.Leave {
		args = append(args, user)
	}
	return b.keys.presence(h.Channel), args
}

// held decodes an answer of hold.lua.
func (b *Broker) held(cmd *redis.Cmd) pubsub.LeaseResult {
	answer, err := cmd.Int64Slice()
	if err != nil {
		return pubsub.LeaseResult{Err: publishError(err)}
	}
	if len(answer) != 5 {
		return pubsub.LeaseResult{Err: fmt.Errorf("%w: hold.lua answered %v", pubsub.ErrOutcomeUnknown, answer)}
	}
	if answer[4] == 1 {
		b.reportPartial(ToPresent, "joins and leaves were not relayed", "")
	}
	return pubsub.LeaseResult{Created: answer[0], Epoch: pubsub.Epoch(answer[1]), Lost: answer[2] == 1, More: answer[3] == 1}
}

// Members implements pubsub.Broker.
func (b *Broker) Members(ctx context.Context, channel, after string, limit int) (pubsub.MemberPage, error) {
	ctx, end, err := b.startCall(ctx)
	if err != nil {
		return pubsub.MemberPage{}, err
	}
	defer end()
	keys := b.keys.presence(channel)
	cmd, _ := b.callScript(ctx, membersScript, keys[1:3], []any{after, limit})
	answer, err := cmd.Slice()
	if err != nil {
		err = readError(err)
		b.errorCounts.count(ToPresent, err)
		return pubsub.MemberPage{}, err
	}
	page, err := decodeMembers(answer)
	if err != nil {
		return pubsub.MemberPage{}, fmt.Errorf("presence of %q: %w", channel, err)
	}
	return page, nil
}

// decodeMembers decodes an answer of members.lua.
func decodeMembers(answer []any) (page pubsub.MemberPage, err error) {
	if len(answer) != 3 {
		return page, errForeign
	}
	count, _ := answer[0].(int64)
	list, _ := answer[2].([]any)
	page.Count, page.More = int(count), answer[1] == int64(1)
	page.Members = make([]pubsub.Member, 0, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		user, _ := list[i].(string)
		value, _ := list[i+1].(string)
		m, err := decodeMember(user, value)
		if err != nil {
			return pubsub.MemberPage{}, err
		}
		page.Members = append(page.Members, m)
	}
	return page, nil
}

// decodeMember decodes a value of the members hash, see hold.lua.
func decodeMember(user, value string) (m pubsub.Member, err error) {
	_, rest, _ := strings.Cut(value, " ")
	since, data, _ := strings.Cut(rest, " ")
	ms, err := strconv.ParseInt(since, 10, 64)
	if err != nil || json.Unmarshal([]byte(data), &m) != nil || m.User != user {
		return pubsub.Member{}, errForeign
	}
	m.Since = time.UnixMilli(ms).UTC()
	return m, nil
}
