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

// view is a Redis Cluster in the view of one node.
type view struct {
	from  string // the address that was asked
	self  string // ID of the node that answered
	nodes map[string]*viewNode
}

// viewNode is a node in a view. Only the ID identifies a node: it may have an IP address,
// a host name and, with forwarded ports, addresses that only some clients can reach.
type viewNode struct {
	endpoint string   // host:port for clients, according to the node that was asked
	names    []string // all addresses that a redirect may have, host:port each
	primary  bool
	healthy  bool   // neither failed nor suspected of it
	epoch    uint64 // of its claim to the slots; the newest claim counts
	follows  string // ID of the primary of a replica; "-" for a primary
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

// parseNodes parses the answer of address to CLUSTER NODES. Its lines are
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

// takeAddress parses the second field of CLUSTER NODES.
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

// parseSlots parses "5" or "0-5460". ok is false for a slot in brackets, which is moving
// and still belongs to another node.
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

// takeEndpoints decodes the answer to CLUSTER SLOTS, a list of
// {first, last, {endpoint, port, ID, …}, …}. The endpoint depends on
// cluster-preferred-endpoint-type: an IP address, a host name ("?" if the node has none),
// or nil, which means the host that was asked.
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

// splitAddress splits an address as Redis prints it at the last colon. IPv6 addresses have
// no brackets.
func splitAddress(address string) (host, port string) {
	at := strings.LastIndexByte(address, ':')
	if at < 0 {
		return address, ""
	}
	return strings.Trim(address[:at], "[]"), address[at+1:]
}

// reachable returns the address to connect to for a host and port that the server at the
// address asked named. Without a host it uses that of asked, and also for a loopback
// address unless asked is one too, because ports are forwarded from there then. For port
// 0, which a node that speaks only TLS may name, it uses the port of asked.
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
