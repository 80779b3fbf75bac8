package redisbroker

import (
	"context"
	"strings"

	"comet/pubsub"
)

// findAlive sets Page.Alive where p answered with another generation than the
// one that a query's reader or a message comes from: on Redis Cluster the slot
// may have moved to p, which is no failover.
func (b *Broker) findAlive(ctx context.Context, p *primary, queries []pubsub.Query, at []int, pages []pubsub.Page) {
	var alive []pubsub.Generation
	asked := false
	for _, i := range at {
		if pages[i].Err != nil || !isMixedLife(&queries[i], &pages[i]) {
			continue
		}
		if !asked {
			alive, asked = b.aliveBeside(ctx, p), true
		}
		pages[i].Alive = alive
	}
}

func isMixedLife(q *pubsub.Query, page *pubsub.Page) bool {
	if q.Cursor.Gen != 0 && q.Cursor.Gen != page.Gen {
		return true
	}
	for _, m := range page.Messages {
		if m.ID.Gen != page.Gen {
			return true
		}
	}
	return false
}

// aliveBeside is the generations of the other primaries, as p sees the cluster:
// one that p has replaced is none in its eyes, while itself, cut off, may still
// think so. What cannot be found out is not alive, so that a loss is told rather
// than not.
func (b *Broker) aliveBeside(ctx context.Context, p *primary) (alive []pubsub.Generation) {
	nodes, err := p.client.ClusterNodes(ctx).Result()
	if err != nil {
		return nil
	}
	primaries, err := b.topology.all(ctx)
	if err != nil {
		return nil
	}
	for _, address := range healthyPrimaries(nodes) {
		for _, other := range primaries {
			if other.address != address || other == p {
				continue
			}
			if gen, err := generationScript.evaluate(ctx, other.client, nil, nil).Int64(); err == nil {
				alive = append(alive, pubsub.Generation(gen))
			}
		}
	}
	return alive
}

// healthyPrimaries reads CLUSTER NODES: lines of
//
//	<id> <address>@<bus port>[,<name>] <flags, comma-separated> …
func healthyPrimaries(nodes string) (addresses []string) {
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		address, _, _ := strings.Cut(fields[1], "@")
		flags := "," + fields[2] + ","
		if strings.Contains(flags, ",master,") && !strings.Contains(flags, "fail") && !strings.Contains(flags, ",noaddr,") {
			addresses = append(addresses, address)
		}
	}
	return addresses
}
