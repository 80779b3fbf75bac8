package redisbroker

import "github.com/redis/go-redis/v9"

// primary is a server that takes writes. Its client never repeats a command and follows no
// redirect. There is one value for each pair of ID and address, so pointers can be
// compared.
type primary struct {
	id      string // of the node, see CLUSTER MYID; empty without Redis Cluster
	address string // host:port or a socket's path, to connect to
	client  *redis.Client
	shared  *pipeline // for concurrent publishes
	dialer  *dialer
}

func newPrimary(o *Options, id, address string) *primary {
	d := newDialer(o)
	client := redis.NewClient(o.clientOptions(address, d))
	return &primary{id, address, client, newPipeline(client), d}
}

// close closes all connections to the primary, which ends the calls under way. go-redis
// alone would wait for their answers, and a frozen server gives none.
func (p *primary) close() error {
	p.dialer.shut()
	p.shared.close()
	return p.client.Close()
}
