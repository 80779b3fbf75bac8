package server

import (
	"log/slog"
	"runtime"

	"comet/config"
	"comet/gateway/conn"
)

// descriptors shares out the descriptors that the process may have open.
type descriptors struct {
	clients int // connections of clients, of all nodes
	admin   int // connections at the admin listener
}

const (
	maxAdmin = 64 // connections at the admin listener
	// reservedFiles is for the rest: listeners, files, the relay, hooks (64), polite
	// refusals, and connections that have two descriptors for a moment while they are
	// parked.
	reservedFiles = 160
	// reservedForCore is for Redis's pool, which grows to ten connections for each
	// core that Go uses. A Redis Cluster has half of that per primary, for which
	// reservedPart of all descriptors is kept back at least.
	reservedForCore = 10
	reservedPart    = 20
)

// shareDescriptors keeps descriptors back, so that the admin listener and Redis
// can be reached however many clients there are. Of few descriptors a quarter is
// for clients.
func shareDescriptors(limit, cores int) descriptors {
	kept := max(maxAdmin+reservedFiles+reservedForCore*cores, limit/reservedPart)
	clients := max(limit-kept, limit/4)
	return descriptors{clients: clients, admin: min(maxAdmin, (limit-clients)/4)}
}

func ownDescriptors() descriptors {
	return shareDescriptors(conn.DescriptorLimit(), runtime.GOMAXPROCS(0))
}

// connectionLimit is how many connections each of the nodes in this process may
// have.
func connectionLimit(nodes int) int { return ownDescriptors().clients / nodes }

func adminConnections() int { return ownDescriptors().admin }

// warnOfDescriptors warns if limits.connections cannot be reached.
func warnOfDescriptors(s *config.Settings, logger *slog.Logger) {
	if most := connectionLimit(1); s.Limits.Connections > most {
		logger.Warn("limits.connections exceeds the descriptor limit; raise it with ulimit -n",
			"limits.connections", s.Limits.Connections, "connections", most, "descriptors", conn.DescriptorLimit())
	}
}
