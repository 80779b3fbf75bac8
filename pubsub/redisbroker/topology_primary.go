package redisbroker

import "github.com/redis/go-redis/v9"

// primary is a server that takes writes. Its client never sends a command
// twice, and follows no redirect. There is one primary for each pair of identity
// and address: where one of them changes there is another primary, so two are
// the same if their pointers are.
type primary struct {
	id      string // of the node, as CLUSTER MYID; empty but in a Redis Cluster
	address string // host:port or a socket's path, to connect to
	client  *redis.Client
	shared  *pipeline // of concurrent publishes
	dialer  *dialer
}

func newPrimary(o *Options, id, address string) *primary {
	d := newDialer(o)
	client := redis.NewClient(o.clientOptions(address, d))
	return &primary{id, address, client, newPipeline(client), d}
}

// close ends the primary's connections, and with them all that is under way
// there: go-redis alone would wait for the answers, and a frozen server gives
// none.
func (p *primary) close() error {
	p.dialer.shut()
	p.shared.close()
	return p.client.Close()
}
