package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// view is a Redis Cluster as one of its nodes sees it.
type view struct {
	from  string // the address that was asked
	self  string // ID of the node that answered
	nodes map[string]*viewNode
}

// viewNode is a node in a view. Only its ID says which node it is: the same node
// has an IP address, a host name, and where ports are forwarded addresses that
// only some can reach.
type viewNode struct {
	endpoint string   // where the node that was asked says that clients should connect; host:port
	names    []string // all that a redirect may call it, host:port each
	primary  bool
	healthy  bool   // neither failed nor suspected to have
	epoch    uint64 // of its claim to the slots; the newest claim counts
	follows  string // ID of the primary that it is a replica of; "-": none
	slots    []slotRange
}

type slotRange struct{ first, last int }

// askView asks one node.
func askView(ctx context.Context, client *redis.Client, address string) (*view, error) {
	pipe := client.Pipeline()
	nodes, slots := pipe.ClusterNodes(ctx), pipe.Do(ctx, "cluster", "slots")
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	v, err := parseNodes(nodes.Val(), address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	v.takeEndpoints(slots.Val())
	return v, nil
}

// parseNodes reads CLUSTER NODES, which address answered. Its lines are
//
//	<id> <ip>:<port>@<bus port>[,<host name>[,<key>=<value>]…] <flags, comma-separated> <primary's ID or -> <ping> <pong> <epoch> <link> [<slots>…]
//
// (https://redis.io/docs/latest/commands/cluster-nodes/).
func parseNodes(text, address string) (*view, error) {
	v := &view{from: address, nodes: make(map[string]*viewNode)}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		flags := "," + fields[2] + ","
		if strings.Contains(flags, ",myself,") {
			v.self = fields[0]
		}
		n := &viewNode{primary: strings.Contains(flags, ",master,")}
		n.healthy = !strings.Contains(flags, ",fail") && !strings.Contains(flags, ",noaddr,") && !strings.Contains(flags, ",handshake,")
		n.follows = fields[3]
		n.epoch, _ = strconv.ParseUint(fields[6], 10, 64)
		n.takeAddress(fields[1], address)
		for _, text := range fields[8:] {
			if r, ok := parseSlots(text); ok {
				n.slots = append(n.slots, r)
			}
		}
		v.nodes[fields[0]] = n
	}
	if v.self == "" {
		return nil, errors.New("CLUSTER NODES does not say which node answers")
	}
	return v, nil
}

// takeAddress reads the second field of CLUSTER NODES.
func (n *viewNode) takeAddress(field, asked string) {
	address, names, _ := strings.Cut(field, ",")
	address, _, _ = strings.Cut(address, "@")
	host, port := splitAddress(address)
	n.endpoint = reachable(host, port, asked)
	n.names = []string{n.endpoint, net.JoinHostPort(host, port)}
	if name, _, _ := strings.Cut(names, ","); name != "" && !strings.Contains(name, "=") {
		n.names = append(n.names, net.JoinHostPort(name, port))
	}
}

// parseSlots reads "5" or "0-5460"; a slot on its way stands in brackets and is
// another's still.
func parseSlots(text string) (r slotRange, ok bool) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	var err1, err2 error
	r.first, err1 = strconv.Atoi(first)
	r.last, err2 = strconv.Atoi(last)
	return r, err1 == nil && err2 == nil && 0 <= r.first && r.first <= r.last && r.last < slots
}

// takeEndpoints reads CLUSTER SLOTS: {first, last, {endpoint, port, ID, …}, …}
// each. The endpoint is what cluster-preferred-endpoint-type says: an IP
// address, a host name ("?" where the node has none), or nil, which is the
// address that was asked.
func (v *view) takeEndpoints(answer any) {
	ranges, _ := answer.([]any)
	for _, r := range ranges {
		row, _ := r.([]any)
		for _, entry := range row[min(2, len(row)):] {
			node, _ := entry.([]any)
			if len(node) < 3 {
				continue
			}
			host, _ := node[0].(string)
			port, _ := node[1].(int64)
			id, _ := node[2].(string)
			if n := v.nodes[id]; n != nil && host != "?" {
				n.endpoint = reachable(host, strconv.FormatInt(port, 10), v.from)
				n.names = append(n.names, n.endpoint)
			}
		}
	}
}

// splitAddress splits what Redis prints: host and port at the last colon, IPv6
// addresses without brackets.
func splitAddress(address string) (host, port string) {
	at := strings.LastIndexByte(address, ':')
	if at < 0 {
		return address, ""
	}
	return strings.Trim(address[:at], "[]"), address[at+1:]
}

// reachable is where to connect to for a host and port that the server at the
// address asked named. Without a host it is the one that was asked. So it is for
// a loopback address, unless asked is one too: the port is forwarded from there.
// A port of 0 is the one that was asked, as a node that speaks only TLS may say.
func reachable(host, port, asked string) string {
	askedHost, askedPort, err := net.SplitHostPort(asked)
	if err != nil {
		return net.JoinHostPort(host, port)
	}
	ip := net.ParseIP(host)
	if host == "" || host == "?" || ip != nil && ip.IsLoopback() && !isLoopback(askedHost) {
		host = askedHost
	}
	if port == "" || port == "0" {
		port = askedPort
	}
	return net.JoinHostPort(host, port)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}
