package loadtest

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/conn"
	"comet/pubsub"
	"comet/pubsub/membroker"
)

func TestRunAccountsForEveryMessage(t *testing.T) {
	const subscribers, messages = 5, 20
	held := "" // a message that is kept back
	for _, test := range []struct {
		name       string
		publishers int
		mangle     func(subscriber, index int, message string) []string
		want       Trouble
	}{
		{name: "honest"},
		{name: "honest, three publishers", publishers: 3},
		{"a message is lost", 1, func(subscriber, index int, message string) []string {
			if subscriber == 1 && index == 3 {
				return nil
			}
			return []string{message}
		}, Trouble{Missing: 1}},
		{"a message comes twice", 1, func(subscriber, index int, message string) []string {
			if subscriber == 1 && index == messages-1 {
				return []string{message, message}
			}
			return []string{message}
		}, Trouble{Repeated: 1}},
		{"two messages are swapped", 1, func(subscriber, index int, message string) []string {
			switch {
			case subscriber != 1 || index < 3 || index > 4:
				return []string{message}
			case index == 3:
				held = message
				return nil
			}
			return []string{message, held}
		}, Trouble{Disordered: 1, Orders: 1}},
		{"a message of nobody", 1, func(subscriber, index int, message string) []string {
			if subscriber == 1 && index == 0 {
				return []string{string(stamp{index: messages}.append(nil, MinSize)), message}
			}
			return []string{message}
		}, Trouble{Unknown: 1}},
		{"a stream ends", 1, func(subscriber, index int, message string) []string {
			if subscriber != 1 || index < 5 {
				return []string{message}
			}
			return []string{""}
		}, Trouble{Missing: messages - 5, Closed: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := startFake(t, test.mangle)
			r, err := Run(t.Context(), Options{
				Address: address, Dialect: Nchan{}, Channel: "c", Subscribers: subscribers,
				Messages: messages, Publishers: test.publishers, Size: 100, Patience: time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Trouble != test.want {
				t.Errorf("trouble %+v, want %+v", r.Trouble, test.want)
			}
			if want := subscribers*messages - test.want.Missing; r.Deliveries != want || r.Messages != messages {
				t.Errorf("%d deliveries of %d messages, want %d", r.Deliveries, r.Messages, want)
			}
			if l := r.Latency; l.P50MS <= 0 || l.P99MS < l.P50MS || l.MaxMS < l.P99MS || l.MaxMS > 60_000 {
				t.Errorf("latency %+v", l)
			}
		})
	}
}

func TestRunPollsInNchansDialect(t *testing.T) {
	r, err := Run(t.Context(), Options{
		Address: startFake(t, nil), Dialect: Nchan{}, Channel: "c", Poll: true, Subscribers: 5, Messages: 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Trouble != (Trouble{}) || r.Deliveries != 100 {
		t.Errorf("%d deliveries, %+v", r.Deliveries, r.Trouble)
	}
}

// startComet is a gateway over the in-process broker.
func startComet(t *testing.T, parked bool) Options {
	hub := pubsub.NewHub(membroker.New(membroker.Options{Size: 1000, TTL: time.Hour, KeyWindow: time.Minute}).Node(), pubsub.Options{})
	t.Cleanup(hub.Close)
	options := gateway.Options{Hub: hub, Node: "n"}
	if parked {
		parker, err := conn.NewParker(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := parker.Close(); err != nil {
				t.Error(err)
			}
		})
		options.Holder = parker
	}
	return Options{Address: serve(t, gateway.New(options)), Dialect: Comet{}, Channel: "news/7"}
}

func TestRunAgainstComet(t *testing.T) {
	for _, test := range []struct {
		name   string
		parked bool
		with   Options
	}{
		{"portable streams", false, Options{Messages: 50}},
		{"portable polls", false, Options{Messages: 50, Poll: true}},
		{"parked streams", true, Options{Messages: 50, Publishers: 2}},
		{"parked streams at a rate", true, Options{Messages: 50, Rate: 500}},
		{"polls at a rate", true, Options{Messages: 50, Rate: 500, Poll: true}},
		{"idle streams, each on its own channel", true, Options{Own: true}},
		{"idle polls", true, Options{Poll: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := startComet(t, test.parked)
			o.Subscribers, o.Messages, o.Publishers, o.Rate = 40, test.with.Messages, test.with.Publishers, test.with.Rate
			o.Own, o.Poll = test.with.Own, test.with.Poll
			o.Server = []int{os.Getpid()}
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Trouble != (Trouble{}) || r.Deliveries != o.Messages*o.Subscribers {
				t.Errorf("%d deliveries, %+v", r.Deliveries, r.Trouble)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	good := Options{Address: startFake(t, nil), Dialect: Nchan{}, Channel: "c", Subscribers: 1}
	refusing := serve(t, http.NotFoundHandler())
	for _, test := range []struct {
		why  string
		with func(*Options)
	}{
		{"404 Not Found", func(o *Options) { o.Address = refusing }},
		{"publish: 404", func(o *Options) { o.Address, o.Poll = refusing, true }},
		{"IPv4", func(o *Options) { o.Address = addressOf(t, "[::1]:80") }},
		{"refused", func(o *Options) { o.Address = addressOf(t, "127.0.0.1:1") }},
		{"a subscriber", func(o *Options) { o.Subscribers = 0 }},
		{"its stamp", func(o *Options) { o.Size = MinSize - 1 }},
		{"idle streams", func(o *Options) { o.Own, o.Messages = true, 1 }},
		{"no long-polls", func(o *Options) { o.Dialect, o.Poll = struct{ Dialect }{Nchan{}}, true }},
		{"read CPU time", func(o *Options) { o.Server = []int{1 << 30} }},
	} {
		o := good
		test.with(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), test.why) {
			t.Errorf("error %v, want one with %q", err, test.why)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	address := startFake(t, func(_, _ int, message string) []string {
		cancel()
		return []string{message}
	})
	_, err := Run(ctx, Options{Address: address, Dialect: Nchan{}, Channel: "c", Subscribers: 2, Messages: 100, Rate: 1})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	u, err := usageOf([]int{os.Getpid()})
	if err != nil || u.memory < 1<<20 || u.cpu < 0 {
		t.Errorf("usage %+v, %v", u, err)
	}
}
