package pubsub

import (
	"context"
	"fmt"
	"time"
)

// NodeRegistry is where the nodes tell each other how they are. A node that stops
// announcing is gone from it some time later, and if the registry itself is lost
// it is whole again when every node has announced once more.
//
// All methods may be called concurrently, at any time before the broker's
// Close. The errors are *InvalidError, ErrClosed, and ErrUnavailable: then
// nothing is known of what was changed, and trying again is right.
type NodeRegistry interface {
	// Announce puts r there for ttl, in place of what r.Node had. asked says
	// that somebody wants to know of channels: then r.Channels is welcome.
	Announce(ctx context.Context, r NodeReport, ttl time.Duration) (asked bool, err error)
	// Withdraw takes off what a node has there.
	Withdraw(ctx context.Context, node string) error
	// Nodes is what is there, sorted by node. With ask every node is asked for
	// its channels for the time of ChannelsAskedFor; those that it has got so far come
	// along.
	Nodes(ctx context.Context, ask bool) ([]NodeReport, error)
}

// NodeReport is what a node says about itself. Brokers carry it and do not look
// into it.
type NodeReport struct {
	Node     string // its ID, which no other node has: 1 to 255 bytes
	Report   []byte // 1 to MaxReportBytes
	Channels []byte // at most MaxReportBytes; nil: it was not asked
}

// MaxReportBytes bounds each part of a NodeReport.
const MaxReportBytes = 64 << 10

// ChannelsAskedFor is how long nodes report their channels after a request for them.
const ChannelsAskedFor = 30 * time.Second

// Validate returns an *InvalidError for the first thing wrong with r.
func (r *NodeReport) Validate() error {
	switch {
	case r.Node == "" || len(r.Node) > MaxChannelBytes:
		return &InvalidError{"node", fmt.Sprintf("must have 1 to %d bytes", MaxChannelBytes)}
	case len(r.Report) == 0 || len(r.Report) > MaxReportBytes:
		return &InvalidError{"report", fmt.Sprintf("must have 1 to %d bytes", MaxReportBytes)}
	case len(r.Channels) > MaxReportBytes:
		return &InvalidError{"channels", fmt.Sprintf("must have %d bytes at most", MaxReportBytes)}
	}
	return nil
}
