package redisbroker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"comet/pubsub"
)

// Announce implements pubsub.NodeRegistry.
func (b *Broker) Announce(ctx context.Context, r pubsub.NodeReport, ttl time.Duration) (asked bool, err error) {
	if err := r.Validate(); err != nil {
		return false, err
	}
	ms := max(1, ttl.Milliseconds()) // 0 would remove the node
	asked, err = b.announce(ctx, r.Node, ms, r.Report, r.Channels)
	if err != nil {
		return false, fmt.Errorf("announce %q: %w", r.Node, err)
	}
	return asked, nil
}

// Withdraw implements pubsub.NodeRegistry.
func (b *Broker) Withdraw(ctx context.Context, node string) error {
	if _, err := b.announce(ctx, node, 0, nil, nil); err != nil {
		return fmt.Errorf("withdraw %q: %w", node, err)
	}
	return nil
}

// announce calls announce.lua.
func (b *Broker) announce(ctx context.Context, node string, ms int64, report, channels []byte) (asked bool, err error) {
	ctx, end, err := b.startCall(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	answer, _ := b.callScript(ctx, announceScript, b.keys.registry(), []any{node, ms, report, channels})
	n, err := answer.Int()
	if err != nil {
		return false, b.registryError(err)
	}
	return n == 1, nil
}

// Nodes implements pubsub.NodeRegistry.
func (b *Broker) Nodes(ctx context.Context, ask bool) ([]pubsub.NodeReport, error) {
	ctx, end, err := b.startCall(ctx)
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	defer end()
	var ms int64
	if ask {
		ms = pubsub.ChannelsAskedFor.Milliseconds()
	}
	answer, _ := b.callScript(ctx, nodesScript, b.keys.registry(), []any{ms})
	fields, err := answer.StringSlice()
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", b.registryError(err))
	}
	var all []pubsub.NodeReport
	for part := range slices.Chunk(fields, 3) {
		if len(part) < 3 || part[1] == "" {
			continue // a node without a report
		}
		r := pubsub.NodeReport{Node: part[0], Report: []byte(part[1])}
		if part[2] != "" {
			r.Channels = []byte(part[2])
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b pubsub.NodeReport) int { return strings.Compare(a.Node, b.Node) })
	return all, nil
}

// registryError counts and wraps an error.
func (b *Broker) registryError(err error) error {
	err = readError(err)
	b.errorCounts.count(ToRegistry, err)
	return err
}
