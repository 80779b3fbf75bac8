package bench

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	good := Plan{Target: Target{Nodes: []string{"http://127.0.0.1:8080"}}, Subscribers: 10}
	custom := Target{
		Nodes: good.Target.Nodes, Preset: "custom", SubscribeURL: "/events?channel={channel}", PublishURL: "/publish/{channel}",
	}
	for _, test := range []struct {
		name string
		with func(*Plan)
		want string // in the error; "" for none
	}{
		{"good", func(*Plan) {}, ""},
		{"custom", func(p *Plan) { p.Target, p.Messages, p.Channels = custom, 1, 2 }, ""},
		{"custom with servers of its own", func(p *Plan) {
			p.Target = Target{Preset: "custom", SubscribeURL: "http://127.0.0.1:1/?c={channel}", PublishURL: "http://127.0.0.1:2?c={channel}"}
		}, ""},
		{"headers", func(p *Plan) { p.Target.Headers, p.Target.Token = []string{"X-A: b", "Cookie: a=b; c=d"}, "abc" }, ""},
		{"no subscribers", func(p *Plan) { p.Subscribers = 0 }, "subscribers: 0 is not between"},
		{"channels without subscribers", func(p *Plan) { p.Channels = 11 }, "channels: 11 is not between 1 and 10"},
		{"small messages", func(p *Plan) { p.Size = MinSize - 1 }, "size: "},
		{"negative time", func(p *Plan) { p.Ramp = -time.Second }, "ramp: -1s"},
		{"endless", func(p *Plan) { p.Rate = 1 }, "rate: nothing ends"},
		{"churn in percent", func(p *Plan) { p.Churn = 2 }, "churn: 2"},
		{"transport", func(p *Plan) { p.Transport = "websocket" }, `transport: "websocket"`},
		{"channel", func(p *Plan) { p.Channel = "a b" }, `channel: "a b"`},
		{"pid", func(p *Plan) { p.ServerPIDs = []int{-1} }, "pid: -1"},
		{"metrics", func(p *Plan) { p.MetricsURL = "metrics" }, "metrics: "},
		{"no nodes", func(p *Plan) { p.Target.Nodes = nil }, "nodes: name at least one"},
		{"TLS", func(p *Plan) { p.Target.Nodes = []string{"https://example.org"} }, "does not speak TLS"},
		{"no scheme", func(p *Plan) { p.Target.Nodes = []string{"127.0.0.1:8080"} }, "write it like http://"},
		{"a user", func(p *Plan) { p.Target.Nodes = []string{"http://a:secret@127.0.0.1"} }, "has a user in it"},
		{"preset", func(p *Plan) { p.Target.Preset = "faye" }, `preset: "faye" is none of`},
		{"template without custom", func(p *Plan) { p.Target.SubscribeURL = "/x" }, "go with the preset custom"},
		{"polls of Mercure", func(p *Plan) { p.Target.Preset, p.Transport = "mercure", LongPoll }, "has no long-polls"},
		{"short polls of Nchan", func(p *Plan) { p.Target.Preset, p.Transport = "nchan", ShortPoll }, "has no short polls"},
		{"header", func(p *Plan) { p.Target.Headers = []string{"A: b", "no header"} }, `headers: the second is not like "Name: value"`},
		{"two headers in one", func(p *Plan) { p.Target.Headers = []string{"A: b\r\nC: d"} }, "headers: the first"},
		{"token", func(p *Plan) { p.Target.Token = "a\nb" }, "token: "},
		{"custom without URL", func(p *Plan) { p.Target.Preset = "custom" }, "subscribe url: the preset custom needs one"},
		{"custom that cannot publish", func(p *Plan) { p.Target, p.Messages = custom, 1; p.Target.PublishURL = "" }, "publish url: it is needed"},
		{"custom of one channel", func(p *Plan) { p.Target, p.Channels = custom, 2; p.Target.SubscribeURL = "/e" }, "lacks {channel}"},
		{"custom body", func(p *Plan) { p.Target = custom; p.Target.PublishBody = "x" }, "lacks {data}"},
		{"custom with a placeholder for a server", func(p *Plan) { p.Target = custom; p.Target.SubscribeURL = "http://{channel}/" }, "subscribe url: the server's name has a placeholder"},
		{"custom with white space", func(p *Plan) { p.Target = custom; p.Target.SubscribeURL = "/e HTTP/1.1" }, "white space"},
		{"neither path nor URL", func(p *Plan) { p.Target = custom; p.Target.SubscribeURL = "events" }, "neither a URL nor a path"},
	} {
		p := good
		test.with(&p)
		err := p.Validate()
		if test.want == "" && err != nil || test.want != "" && !contains(err, test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has a secret: %v", test.name, err)
		}
	}
	many := Plan{Target: Target{Nodes: []string{"ftp://x"}}, Rate: -1, Churn: -1}
	if err := many.Validate(); err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("not every mistake is reported: %v", err)
	}
	if err := (Target{}).Validate(); !contains(err, "nodes: ") {
		t.Errorf("an empty target: %v", err)
	}
}

func TestOnLoopback(t *testing.T) {
	for _, test := range []struct {
		target Target
		want   bool
	}{
		{Target{Nodes: []string{"http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:8", "http://localhost:80"}}, true},
		{Target{Nodes: []string{"http://127.0.0.1:1", "http://10.0.0.1"}}, false},
		{Target{Nodes: []string{"http://example.org"}}, false},
		{Target{Nodes: []string{"http://localhost.example.org"}}, false},
		{Target{Nodes: []string{"nonsense"}}, false},
		{Target{SubscribeURL: "http://127.0.0.1/{channel}", PublishURL: "http://127.0.0.1/"}, true},
		{Target{SubscribeURL: "http://127.0.0.1/{channel}", PublishURL: "http://10.0.0.1/"}, false},
		{Target{SubscribeURL: "http://127.0.0.1@10.0.0.1/"}, false},
	} {
		if got := test.target.OnLoopback(); got != test.want {
			t.Errorf("%+v: %v", test.target, got)
		}
	}
}

func TestPlanTotal(t *testing.T) {
	for _, test := range []struct {
		plan  Plan
		want  int
		known bool
	}{
		{Plan{}, 0, true},
		{Plan{Messages: 5}, 5, true},
		{Plan{Rate: 10, Duration: 2 * time.Second}, 20, true},
		{Plan{Rate: 10, Duration: 2 * time.Second, Messages: 7}, 7, true},
		{Plan{Rate: 10, Duration: 2 * time.Second, Messages: 70}, 20, true},
		{Plan{Rate: 0.1, Duration: time.Second}, 1, true},
		{Plan{Duration: time.Second}, 0, false},
	} {
		if n, known := test.plan.total(); n != test.want || known != test.known {
			t.Errorf("%+v: %d, %v; want %d, %v", test.plan, n, known, test.want, test.known)
		}
	}
}
