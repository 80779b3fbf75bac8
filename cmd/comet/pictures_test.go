package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"comet/client"
	"comet/gateway/web/browsertest"
	"comet/internal/testenv"
	"comet/pubsub"
)

// pictureScreens are the screens on which the docs show the dashboard.
var pictureScreens = []browsertest.Screen{
	{Name: "light", Width: 1200, Height: 1000},
	{Name: "dark", Width: 1200, Height: 1000, Dark: true},
	{Name: "phone", Width: 360, Height: 800},
}

// pictureTime is the time span that the pictures show.
const pictureTime = 75 * time.Second

// TestDashboardPictures makes the pictures of the docs: see `make screenshots`.
func TestDashboardPictures(t *testing.T) {
	testenv.Large(t)
	b := browsertest.Start(t)
	c := startCluster(t, 3)
	town(t, c.urls)
	if browsertest.Pictures() { // without pictures a short look is enough
		select {
		case <-time.After(pictureTime):
		case <-t.Context().Done():
		}
	}
	for _, s := range pictureScreens {
		b.Show(s)
		b.Open(c.admins[0] + "/?" + s.Name + "#chat%2Flobby") // the query makes it another page; a fragment alone does not
		awaitPage(b, `document.querySelectorAll('#nodes tr').length === 3 && document.querySelectorAll('#messages article').length > 3 &&
			document.querySelectorAll('#channels li').length > 5 && document.querySelectorAll('.plot[data-lines="3"] canvas').length === 4`)
		b.WantFit(s)
		b.Picture("dashboard-" + s.Name)
	}
}

// place is a channel of the town: its number of listeners, and its rate of
// messages, which follows a wave.
type place struct {
	channel   string
	listeners int
	perSecond float64
	wave      time.Duration
	say       func() any
}

// town starts clients that talk until the end of t.
func town(t testing.TB, urls []string) {
	clients := make([]*client.Client, len(urls)) // one per node
	for i, url := range urls {
		var err error
		if clients[i], err = client.New(client.Options{URLs: []string{url}, Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
	}
	lines := []string{"Good morning!", "Is the new release out?", "It is, since nine.", "Lovely. No restarts needed?", "None. The nodes drained one by one.", "Has anybody lost a message?", "Not one."}
	said := 0
	places := []place{
		{"prices/EUR-USD", 160, 8, 40 * time.Second, func() any { return map[string]any{"bid": 1.0871, "ask": 1.0873} }},
		{"prices/GBP-USD", 90, 5, 55 * time.Second, func() any { return map[string]any{"bid": 1.2644, "ask": 1.2647} }},
		{"chat/lobby", 120, 0.5, time.Hour, func() any { said++; return lines[said%len(lines)] }},
		{"news", 75, 0.4, time.Hour, func() any { return "Comet now watches itself" }},
		{"chat/support", 34, 0.3, time.Hour, func() any { return "How can I help?" }},
		{"scores/live", 48, 3, 30 * time.Second, func() any { return map[string]int{"home": 2, "away": 1} }},
		{"build/main", 12, 0.5, time.Hour, func() any { return map[string]string{"state": "passed"} }},
		{"orders/4711", 2, 0.2, time.Hour, func() any { return map[string]string{"status": "packed"} }},
		{"orders/4712", 1, 0.2, time.Hour, func() any { return map[string]string{"status": "sent"} }},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i, p := range places {
		for n := range p.listeners {
			all.Go(func() {
				for range clients[(i+n*n)%len(clients)].Subscribe(ctx, client.SubscribeOptions{Channels: []string{p.channel}}) {
				}
			})
		}
		all.Go(func() { p.talk(ctx, clients[i%len(clients)]) })
	}
	t.Cleanup(func() { cancel(); all.Wait() })
}

// talk publishes at a rate that rises and falls.
func (p place) talk(ctx context.Context, c *client.Client) {
	for began := time.Now(); ; {
		swing := 1 + 0.6*math.Sin(2*math.Pi*time.Since(began).Seconds()/p.wave.Seconds())
		wait := time.Duration(float64(time.Second) / (p.perSecond * swing) * (0.7 + 0.6*rand.Float64()))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		data, _ := json.Marshal(p.say())
		_, _ = c.Publish(ctx, pubsub.Draft{Channel: p.channel, Data: data}) // the last one is cut
	}
}
