package failure

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/client"
	"comet/internal/testenv"
	"comet/pubsub"
)

const (
	nodes       = 3
	subscribers = 60
	publishers  = 5
)

// channels are the logs that are judged: those of plain, and the index logs.
var channels = slices.Concat(plain, indexLogs("wood/**"), indexLogs("copse/*"))

// TestFailures is the suite.
func TestFailures(t *testing.T) {
	testenv.Large(t)
	if _, known := backends[*redisFlag]; !known && *redisFlag != "" {
		t.Fatalf("-failure.redis=%s: want standalone, sentinel or cluster", *redisFlag)
	}
	binary := buildComet(t)
	for name, start := range backends {
		if *redisFlag != "" && *redisFlag != name {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			length := shortRound
			if *durationFlag > 0 {
				length = longRound
			}
			begun := time.Now()
			for seed := *seedFlag; seed == *seedFlag || time.Since(begun) < *durationFlag; seed++ {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { newRound(t, binary, seed, start(t)).run(length) })
			}
		})
	}
}

// round is one run of a cluster, with its clients and its faults.
type round struct {
	t      *testing.T
	random *rand.Rand // the scheduler's
	seed   uint64
	redis  *backend
	nodes  []*node
	start  time.Time
	http   *http.Client
	lives  map[string][][]entry // by channel: the logs that were wiped
	story  []string             // the faults so far

	publishers  []*publisher
	subscribers []*subscriber
}

func newRound(t *testing.T, binary string, seed uint64, b *backend) *round {
	r := &round{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)),
		redis: b, lives: make(map[string][][]entry),
	}
	for i := range nodes {
		r.nodes = append(r.nodes, startNode(t, binary, fmt.Sprintf("node-%d", i+1), b.environ(i)...))
	}
	transport := &http.Transport{MaxIdleConnsPerHost: subscribers}
	t.Cleanup(transport.CloseIdleConnections)
	r.http = &http.Client{Transport: transport}
	r.start = time.Now()
	for i := range publishers {
		r.publishers = append(r.publishers, r.newPublisher(i))
	}
	for i := range subscribers {
		r.subscribers = append(r.subscribers, r.newSubscriber(i))
	}
	return r
}

func (r *round) urls() []string {
	urls := make([]string, len(r.nodes))
	for i, n := range r.nodes {
		urls[i] = n.url()
	}
	return urls
}

func (r *round) client(first int) *client.Client {
	urls := r.urls()
	c, err := client.New(client.Options{URLs: append(urls[first:], urls[:first]...), HTTPClient: r.http})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *round) newPublisher(i int) *publisher {
	return &publisher{
		name: fmt.Sprintf("publisher-%d", i), client: r.client(i % nodes),
		random: rand.New(rand.NewPCG(r.seed, 1000+uint64(i))),
	}
}

func (r *round) newSubscriber(i int) *subscriber {
	random := rand.New(rand.NewPCG(r.seed, 2000+uint64(i)))
	s := &subscriber{
		name: fmt.Sprintf("subscriber-%d", i), form: []form{sse, ndjson, poll}[i%3],
		urls: r.urls(), http: r.http, random: random, start: r.start, logger: slog.New(slog.DiscardHandler),
		at: make(map[string]pubsub.ID), got: make(map[string][]happening), ends: make(map[string]bool),
	}
	switch random.IntN(3) {
	case 0:
		s.pattern = []string{"wood/*", "copse/*"}[random.IntN(2)]
		if s.form == poll { // an answer has one cursor, which does not tell whose gap it is
			s.pattern = "copse/*"
		}
		s.asked, s.channels = []string{s.pattern}, indexLogs(s.pattern)
	default:
		for _, n := range random.Perm(len(plain))[:[]int{1, 1, 2, 4}[random.IntN(4)]] {
			s.channels = append(s.channels, plain[n])
		}
		slices.Sort(s.channels)
		s.asked = s.channels
	}
	if s.form != poll && random.IntN(3) == 0 {
		s.from = client.Earliest
	}
	s.name += fmt.Sprintf(" (%s of %s)", s.form, strings.Join(s.asked, ", "))
	return s
}

// run causes faults for length while publishers and subscribers work. It judges
// their results when the cluster is healthy again.
func (r *round) run(length time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	var working, publishing sync.WaitGroup
	r.t.Cleanup(working.Wait) // also if a fault ends the test
	r.t.Cleanup(publishing.Wait)
	r.t.Cleanup(cancel)
	defer r.logSchedule()
	churn, settle := context.WithCancel(ctx)
	defer settle()
	for _, p := range r.publishers {
		publishing.Go(func() { p.run(churn, ctx) })
	}
	for _, s := range r.subscribers {
		working.Go(func() { s.run(churn, ctx) })
	}
	for time.Since(r.start) < length {
		pause(r.t.Context(), r.some(50*time.Millisecond, 600*time.Millisecond))
		r.inject(pick(r, r.redis.troubles))
		r.redis.awaitHealthy()
	}
	r.note("all is well")
	settle()
	late := time.AfterFunc(patience, cancel)
	publishing.Wait()
	r.publishLast(ctx)
	working.Wait()
	late.Stop()
	r.note("ended")
	r.judge()
}

func (r *round) note(format string, args ...any) {
	r.story = append(r.story, fmt.Sprintf("%8.3fs ", time.Since(r.start).Seconds())+fmt.Sprintf(format, args...))
}

// inject causes a fault and returns when it is over.
func (r *round) inject(t trouble) {
	r.note("%s", t.name)
	what := t.do(r)
	r.note("%s: over, %s", t.name, what)
}

// publishLast publishes each channel's last message.
func (r *round) publishLast(ctx context.Context) {
	last := r.newPublisher(0)
	for _, channel := range channels {
		last.publish(ctx, channelIn(channel), lastKey(channel))
	}
	r.publishers = append(r.publishers, last)
}

// logSchedule logs the faults of a failed round; with -v, of every round. A seed
// always gives the same schedule, except for the times and the number of faults.
func (r *round) logSchedule() {
	if r.t.Failed() || testing.Verbose() {
		r.t.Logf("seed %d, what happened:\n%s", r.seed, strings.Join(r.story, "\n"))
	}
}
