package bench

import (
	"time"
)

// Transport is how a subscriber gets its messages.
type Transport string

const (
	SSE       Transport = "sse"
	LongPoll  Transport = "poll"
	ShortPoll Transport = "short-poll" // asks every Plan.Interval, answered at once
	Mixed     Transport = "mixed"      // each subscriber one of sse and poll, by the seed
)

// Plan is a whole run. Its zero fields have the defaults that are named here.
type Plan struct {
	Target Target `json:"target"`

	Subscribers int `json:"subscribers"`
	Channels    int `json:"channels"` // subscriber i reads the channel i % Channels; default 1
	// Channel begins the channels' names; default "bench". The rest of a name is
	// the run's own, so that no channel has a history.
	Channel   string    `json:"channel"`
	Transport Transport `json:"transport"` // default SSE
	// Interval is the time between two short polls of a subscriber; default 1s.
	Interval time.Duration `json:"interval_ns"`
	Ramp     time.Duration `json:"ramp_ns"`   // the arrival, spread evenly; 0: as fast as the server lets them in
	Settle   time.Duration `json:"settle_ns"` // quiet time behind it, before memory is read and the first message sent
	// Churn is the share of subscribers that disconnect and resume a second,
	// at another node if there is one: 0.01 is one in a hundred.
	Churn float64 `json:"churn"`

	Rate       float64       `json:"rate"`        // messages a second over all channels; 0: flat out
	Duration   time.Duration `json:"duration_ns"` // how long to publish; 0 with Messages set: until they are sent
	Messages   int           `json:"messages"`    // how many to publish; 0 with Duration and Rate set: what they give
	Publishers int           `json:"publishers"`  // connections to publish over; default 1
	Size       int           `json:"size"`        // bytes of a message, at least MinSize; default 100
	// Patience is how long no delivery may come before the rest counts as lost,
	// and the measure of other waiting: an arrival ends when nobody came for three
	// times as long, a publish is given up after two. Default 5s.
	Patience time.Duration `json:"patience_ns"`

	Seed uint64 `json:"seed"` // of every random choice

	// What to charge. All may be empty.
	ServerPIDs []int  `json:"server_pids,omitempty"` // and their children
	StorePIDs  []int  `json:"store_pids,omitempty"`  // behind the server, as Redis; charged apart
	MetricsURL string `json:"metrics_url,omitempty"` // Prometheus metrics of the server, for want of ServerPIDs
}

// Target is the server, and how it is spoken to.
type Target struct {
	// Nodes are base URLs, as http://127.0.0.1:8080; subscribers and publishers
	// are spread over them.
	Nodes []string `json:"nodes"`
	// Preset is comet, nchan, mercure, centrifugo or custom; default comet.
	Preset string `json:"preset"`
	// Of custom: URLs (or paths behind a node) with {channel} and, where a
	// subscriber resumes, {cursor}; headers as "Name: value"; the publish body with
	// {data} and {channel}.
	SubscribeURL  string   `json:"subscribe_url,omitempty"`
	PublishURL    string   `json:"publish_url,omitempty"`
	PublishBody   string   `json:"publish_body,omitempty"`   // default {data}
	PublishMethod string   `json:"publish_method,omitempty"` // default POST
	Headers       []string `json:"-"`                        // on every request; may hold secrets
	// Token is sent as Authorization: Bearer. To Centrifugo it is the API key, and
	// goes with publishes only.
	Token string `json:"-"`
}

// complete is p with the defaults in its zero fields.
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

// total is how many messages there are to be; ok is false if only time ends
// them.
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

// turns says whose turn a message is: the messages of a run are counted through
// and go round over publishers and channels.
type turns struct{ publishers, channels int }

func (p *Plan) turns() turns { return turns{p.Publishers, p.Channels} }

func (t turns) publisher(i int) int { return i % t.publishers }
func (t turns) channel(i int) int   { return i % t.channels }

// sequence is the message's number among those of its publisher to its channel.
func (t turns) sequence(i int) int { return i / t.round() }

// round is after how many messages publisher and channel are the same again.
func (t turns) round() int {
	a, b := t.publishers, t.channels
	for b != 0 {
		a, b = b, a%b
	}
	return t.publishers / a * t.channels
}
