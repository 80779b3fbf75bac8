package bench

import (
	"time"
)

// Transport is how a subscriber receives messages.
type Transport string

const (
	SSE       Transport = "sse"
	LongPoll  Transport = "poll"
	ShortPoll Transport = "short-poll" // a poll every Plan.Interval, answered at once
	Bayeux    Transport = "bayeux"     // long-polls of Bayeux clients, of Comet only
	Mixed     Transport = "mixed"      // the seed chooses sse or poll for each subscriber
)

// Plan describes a run. Zero fields mean the defaults named here.
type Plan struct {
	Target Target `json:"target"`

	Subscribers int `json:"subscribers"`
	Channels    int `json:"channels"` // subscriber i reads the channel i % Channels; default 1
	// Channel is the prefix of the channels' names; default "bench". The rest of a
	// name is unique to the run, so that no channel has a history.
	Channel   string    `json:"channel"`
	Transport Transport `json:"transport"` // default SSE
	// Interval is the time between two short polls of a subscriber; default 1s.
	Interval time.Duration `json:"interval_ns"`
	Ramp     time.Duration `json:"ramp_ns"`   // time over which subscribers connect, evenly; 0: as fast as the server accepts them
	Settle   time.Duration `json:"settle_ns"` // quiet time after that, before memory is read and the first message sent
	// Churn is the share of subscribers that disconnect and resume per second, at
	// another node if there is one: 0.01 is one in a hundred.
	Churn float64 `json:"churn"`

	Rate       float64       `json:"rate"`        // messages per second over all channels; 0: as fast as possible
	Duration   time.Duration `json:"duration_ns"` // how long to publish; 0 with Messages set: until they are sent
	Messages   int           `json:"messages"`    // number of messages to publish; 0 with Duration and Rate set: their product
	Publishers int           `json:"publishers"`  // connections to publish over; default 1
	Size       int           `json:"size"`        // bytes of a message, at least MinSize; default 100
	// Patience is the time without a delivery after which missing messages count
	// as lost; default 5s. Other limits follow from it: the arrival ends after
	// three times Patience without a new subscriber, and a publish is given up
	// after twice Patience.
	Patience time.Duration `json:"patience_ns"`

	Seed uint64 `json:"seed"` // of every random choice

	// Processes and metrics to measure. All may be empty.
	ServerPIDs []int  `json:"server_pids,omitempty"` // and their children
	StorePIDs  []int  `json:"store_pids,omitempty"`  // processes of the server's store, like Redis; measured separately
	MetricsURL string `json:"metrics_url,omitempty"` // Prometheus metrics of the server, used without ServerPIDs
}

// Target is the server and its API.
type Target struct {
	// Nodes are base URLs, like http://127.0.0.1:8080. Subscribers and publishers
	// are spread over them.
	Nodes []string `json:"nodes"`
	// Preset is comet, nchan, mercure, centrifugo or custom; default comet.
	Preset string `json:"preset"`
	// For custom: URLs, or paths that are appended to a node's URL, with {channel}
	// and, to resume, {cursor}; the publish body with {data} and {channel}; headers
	// like "Name: value".
	SubscribeURL  string   `json:"subscribe_url,omitempty"`
	PublishURL    string   `json:"publish_url,omitempty"`
	PublishBody   string   `json:"publish_body,omitempty"`   // default {data}
	PublishMethod string   `json:"publish_method,omitempty"` // default POST
	Headers       []string `json:"-"`                        // on every request; may hold secrets
	// Token is sent as Authorization: Bearer. For centrifugo it is the API key and
	// sent with publishes only.
	Token string `json:"-"`
}

// complete returns p with the defaults in its zero fields.
func (p Plan) complete() Plan {
	setDefault(&p.Channels, 1)
	setDefault(&p.Channel, "bench")
	setDefault(&p.Transport, SSE)
	setDefault(&p.Interval, time.Second)
	setDefault(&p.Publishers, 1)
	setDefault(&p.Size, 100)
	setDefault(&p.Patience, 5*time.Second)
	setDefault(&p.Target.Preset, presetComet)
	if p.Target.Preset == presetCustom {
		setDefault(&p.Target.PublishBody, "{data}")
		setDefault(&p.Target.PublishMethod, "POST")
	}
	return p
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// publishes reports whether the plan has messages.
func (p *Plan) publishes() bool { return p.Messages > 0 || p.Duration > 0 }

// total returns the number of messages to publish; ok is false if only Duration
// limits it.
func (p *Plan) total() (n int, ok bool) {
	n, ok = p.Messages, p.Messages > 0
	if p.Rate > 0 && p.Duration > 0 {
		given := max(1, int(p.Rate*p.Duration.Seconds()))
		if !ok || given < n {
			n, ok = given, true
		}
	}
	return n, ok || !p.publishes()
}

// turns assigns the messages of a run, numbered from 0, to publishers and
// channels, in turn.
type turns struct{ publishers, channels int }

func (p *Plan) turns() turns { return turns{p.Publishers, p.Channels} }

func (t turns) publisher(i int) int { return i % t.publishers }
func (t turns) channel(i int) int   { return i % t.channels }

// sequence returns the number of message i among those of its publisher to its channel.
func (t turns) sequence(i int) int { return i / t.round() }

// round returns the number of messages until publisher and channel are the same again.
func (t turns) round() int {
	a, b := t.publishers, t.channels
	for b != 0 {
		a, b = b, a%b
	}
	return t.publishers / a * t.channels
}
