package bench

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// asMercure makes a node act as a Mercure hub, as far as the preset needs it.
func asMercure(node http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/mercure" || r.Header.Get("Authorization") != "Bearer t" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodPost {
			republish(node, w, r.FormValue("topic"), r.FormValue("data"))
			return
		}
		query := url.Values{"channel": {r.URL.Query().Get("topic")}}
		if r.Header.Get("Last-Event-ID") == "earliest" {
			r.Header.Del("Last-Event-ID")
			query.Set("cursor", "earliest")
		}
		r.URL.Path, r.URL.RawQuery = "/v1/events", query.Encode()
		node.ServeHTTP(w, r)
	})
}

// asCentrifugo makes a node act as Centrifugo, except for the form of its messages.
func asCentrifugo(node http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/publish":
			var publish struct{ Channel, Data string }
			if err := json.NewDecoder(r.Body).Decode(&publish); err != nil || r.Header.Get("X-API-Key") != "t" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			republish(node, w, publish.Channel, publish.Data)
		case "/connection/uni_sse":
			var connect struct{ Subs map[string]struct{} }
			if err := json.Unmarshal([]byte(r.URL.Query().Get("cf_connect")), &connect); err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			query := make(url.Values)
			for channel := range connect.Subs {
				query.Add("channel", channel)
			}
			r.URL.Path, r.URL.RawQuery = "/v1/events", query.Encode()
			node.ServeHTTP(w, r)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

func republish(node http.Handler, w http.ResponseWriter, channel, data string) {
	r, err := http.NewRequest(http.MethodPost, "/v1/channels/"+channel+"/messages", io.NopCloser(strings.NewReader(data)))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.Header.Set("Content-Type", "text/plain")
	node.ServeHTTP(w, r)
}

func TestRunWithPresets(t *testing.T) {
	as := func(disguise func(http.Handler) http.Handler) []string {
		node, _ := newGateway(t, newBroker())
		return []string{serve(t, disguise(node))}
	}
	plain := startCluster(t, 2)
	for _, test := range []struct {
		name   string
		target Target
		churn  float64
	}{
		{"mercure", Target{Preset: "mercure", Nodes: as(asMercure), Token: "t"}, 0.3},
		{"centrifugo", Target{Preset: "centrifugo", Nodes: as(asCentrifugo), Token: "t"}, 0},
		{"custom", Target{Preset: "custom", Nodes: plain.urls, SubscribeURL: "/v1/events?channel={channel}",
			PublishURL: "/v1/channels/{channel}/messages", PublishBody: `{"text":"{data}"}`}, 0.3},
		{"custom with cursors", Target{Preset: "custom", SubscribeURL: plain.urls[0] + "/v1/events?channel={channel}&cursor={cursor}",
			PublishURL: plain.urls[1] + "/v1/publish", PublishBody: `[{"channel":"{channel}","data":"{data}"}]`}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plan := Plan{
				Target: test.target, Subscribers: 20, Channels: 2, Publishers: 2, Rate: 100, Duration: time.Second, Churn: test.churn,
			}
			r := mustRun(t, plan, inTest())
			if !r.Trouble.None() || r.Delivery.Received != r.Delivery.Expected || r.Delivery.Received == 0 {
				t.Errorf("%d deliveries of %d, %+v", r.Delivery.Received, r.Delivery.Expected, r.Trouble)
			}
			if (r.Resume.Count > 0) != (test.churn > 0) {
				t.Errorf("resumed %+v", r.Resume)
			}
		})
	}
}
