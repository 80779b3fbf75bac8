package redisbroker

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// primary is a server that takes writes. Its client never sends a command
// twice, and follows no redirect. There is one primary for each pair of identity
// and address: where one of them changes there is another primary, so two are
// the same if their pointers are.
type primary struct {
	id      string // of the node, as CLUSTER MYID; empty but in a Redis Cluster
	address string // host:port or a socket's path, to connect to
	client  *redis.Client
	shared  *redis.AutoPipeliner // concurrent publishes share its pipelines
	dialer  *dialer
}

func newPrimary(o *Options, id, address string) (*primary, error) {
	d := newDialer(o)
	client := redis.NewClient(o.clientOptions(address, d))
	shared, err := client.AsyncAutoPipeline()
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &primary{id, address, client, shared, d}, nil
}

// share sends a command in a pipeline with others', and waits for the answer
// until ctx ends: the pipeline in front of its own may take its full time too.
// Then cmd must not be looked at any more, and may still be carried out.
func (p *primary) share(ctx context.Context, cmd redis.Cmder) error {
	return p.shared.Submit(ctx, cmd).WaitContext(ctx)
}

// close ends the primary's connections, and with them all that is under way
// there: go-redis alone would wait for the answers, and a frozen server gives
// none.
func (p *primary) close() error {
	p.dialer.shut()
	return errors.Join(p.shared.Close(), p.client.Close())
}
