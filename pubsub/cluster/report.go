// Package cluster is the membership of nodes. Each node sends a heartbeat, its
// Report, every Interval: to the broker's node registry, which any node reads for
// GET /v1/nodes, and into Channel, for subscribers.
package cluster

import (
	"encoding/json"
	"fmt"
	"time"
)

// Channel is the nodes' own channel of reports: a message of type TypeReport is
// a Report, one of type TypeLeft a Left.
const Channel = "comet.nodes"

// Types of the messages in Channel.
const (
	TypeReport = "report"
	TypeLeft   = "left"
)

// Left says that a node has left.
type Left struct {
	ID string `json:"id"`
}

// Report is what a node says about itself. A number that it does not know is
// left out.
type Report struct {
	Identity
	Time time.Time `json:"time"` // by the node's clock

	Ready    bool     `json:"ready"`             // whether it should get new clients
	Reasons  []string `json:"reasons,omitempty"` // why not
	Draining bool     `json:"draining"`          // it is about to leave

	Connections Connections `json:"connections"`
	Channels    int         `json:"channels"` // with subscribers here

	Deliveries Rate  `json:"deliveries"` // messages, once for each subscriber
	Publishes  Rate  `json:"publishes"`  // messages that came in here
	Bytes      *Rate `json:"bytes,omitempty"`

	CPUPercent *float64 `json:"cpu_percent,omitempty"` // of one core, over the last interval
	RSS        int64    `json:"rss_bytes,omitempty"`   // resident memory
	Heap       int64    `json:"heap_bytes"`            // of the Go runtime, in use
	Goroutines int      `json:"goroutines"`

	RelayDelayMS *float64 `json:"relay_delay_ms,omitempty"` // of the last probe, through Redis and back
	ProbeAgeMS   *float64 `json:"probe_age_ms,omitempty"`   // how long ago that came back
}

// Identity is what does not change while a node lives.
type Identity struct {
	ID      string    `json:"id"`   // of this life of the node: no other one has it
	Name    string    `json:"name"` // the setting node
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	URL     string    `json:"url"`             // where it serves clients, as it sees itself
	Admin   string    `json:"admin,omitempty"` // where it serves operators
}

// Connections are those of clients. Streams and waiting polls by transport; what
// is in Total besides is between two requests.
type Connections struct {
	Total   int64            `json:"total"`
	Streams int64            `json:"streams"` // and waiting polls
	By      map[string]int64 `json:"by,omitempty"`
}

// Rate is a count since the node's start, and how fast it grew in the last
// interval.
type Rate struct {
	Total     int64   `json:"total"`
	PerSecond float64 `json:"per_second"`
}

// ParseReport reads what a node, of this version or another one, has said.
func ParseReport(data []byte) (r Report, err error) {
	if err := json.Unmarshal(data, &r); err != nil {
		return Report{}, fmt.Errorf("not a node's report: %w", err)
	}
	if r.ID == "" {
		return Report{}, fmt.Errorf("not a node's report: it has no id")
	}
	return r, nil
}
