package redisbroker

import (
	"context"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// sentinels is the topology of a primary that Sentinels watch. Every round asks all
// Sentinels in parallel, those of the settings and those that they know. The primary is
// the one with the highest config-epoch, which grows with each takeover. So Sentinels
// that are dead, retired or not listed do not matter, and the answer of one that knows of
// a takeover overrules that of one that does not.
type sentinels struct {
	options Options
	askers  askers[*redis.SentinelClient]
	rounds  rounds[*election]
	retired sync.WaitGroup // primaries being closed

	now atomic.Pointer[primary] // nil until a Sentinel has answered

	mu     sync.Mutex // guards all below, and changes of now
	epoch  uint64     // of the primary
	follow int        // number of its replicas
	seenAt time.Time  // when a Sentinel last named that epoch or a higher one
	closed bool
}

// election is the answer of one Sentinel about the primary.
type election struct {
	address string
	epoch   uint64
	quorum  int      // number of Sentinels that must agree that the primary is down
	others  []string // addresses of the Sentinels that it knows

	// replicas is the number of replicas that it knows, also disconnected ones: a
	// Sentinel never forgets one (num-slaves).
	replicas int
}

// anyNumber is the number of replicas if a Sentinel does not answer with it.
const anyNumber = math.MaxInt

// oldEpochAfter is how long a lower epoch than the primary's is ignored: the Sentinels that
// know the higher one may be unreachable for a moment. After that it counts, as after
// SENTINEL RESET.
const oldEpochAfter = 10 * time.Second

func newSentinels(o Options) *sentinels {
	s := &sentinels{options: o}
	s.askers.open = func(address string) (*redis.SentinelClient, *dialer) {
		d := newDialer(&o)
		return redis.NewSentinelClient(&redis.Options{
			Addr: address, Username: o.SentinelUsername, Password: o.SentinelPassword,
			Dialer: d.dial, DialTimeout: d.timeout, DialerRetries: 1, PoolSize: askerPool,
			ReadTimeout: o.Timeout, WriteTimeout: o.Timeout,
			ContextTimeoutEnabled: true, MaxRetries: -1,
		}), d
	}
	s.askers.keep(o.Addresses)
	s.rounds.run = s.ask
	return s
}

func (s *sentinels) moves() bool { return true }

func (s *sentinels) whole() error { return nil }

func (s *sentinels) replicas(*primary) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.follow
}

func (s *sentinels) of(ctx context.Context, _ string) (*primary, error) {
	if p := s.now.Load(); p != nil {
		return p, nil
	}
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (s *sentinels) at(ctx context.Context, _ *primary, _ string) (*primary, error) {
	return s.of(ctx, "")
}

func (s *sentinels) all(ctx context.Context) ([]*primary, error) {
	if _, err := s.rounds.do(ctx, false); err != nil {
		return nil, fmt.Errorf("%w: find the primary: %w", pubsub.ErrUnavailable, err)
	}
	return []*primary{s.now.Load()}, nil
}

func (s *sentinels) known() []*primary {
	if p := s.now.Load(); p != nil {
		return []*primary{p}
	}
	return nil
}

// ask runs one round. It waits longer while fewer Sentinels than their quorum have
// answered.
func (s *sentinels) ask() (*election, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.Timeout/3)
	defer cancel()
	answers, err := askAll(ctx, &s.askers, s.options.Timeout/6, s.askOne, func(answers []*election) bool {
		quorum := 1
		for _, a := range answers {
			quorum = max(quorum, a.quorum)
		}
		return len(answers) >= quorum
	})
	if err != nil {
		return nil, err
	}
	best := newest(answers)
	return best, s.adopt(best, answers)
}

// newest returns the answer with the highest epoch. Among several it prefers the primary
// that most Sentinels name.
func newest(answers []*election) *election {
	votes := make(map[string]int)
	var best *election
	for _, a := range answers {
		votes[a.address]++
	}
	for _, a := range answers {
		if best == nil || a.epoch > best.epoch ||
			a.epoch == best.epoch && (votes[a.address] > votes[best.address] ||
				votes[a.address] == votes[best.address] && a.address < best.address) {
			best = a
		}
	}
	return best
}

func (s *sentinels) askOne(ctx context.Context, a *asker[*redis.SentinelClient]) (*election, error) {
	facts, err := a.client.Master(ctx, s.options.Master).Result()
	if err != nil && strings.HasPrefix(err.Error(), "NOPERM") {
		return s.askAddress(ctx, a)
	}
	if err != nil {
		return nil, fmt.Errorf("sentinel %s: %w", a.address, err)
	}
	e := &election{address: reachable(facts["ip"], facts["port"], a.address)}
	e.epoch, _ = strconv.ParseUint(facts["config-epoch"], 10, 64)
	e.quorum, _ = strconv.Atoi(facts["quorum"])
	if e.replicas, err = strconv.Atoi(facts["num-slaves"]); err != nil {
		e.replicas = anyNumber
	}
	others, err := a.client.Sentinels(ctx, s.options.Master).Result()
	if err != nil {
		return e, nil // without the Sentinels that it knows
	}
	for _, other := range others {
		if other["ip"] != "" && other["port"] != "" {
			e.others = append(e.others, net.JoinHostPort(other["ip"], other["port"]))
		}
	}
	return e, nil
}

// askAddress is askOne for a user that may only ask for the address. The epoch is 0.
func (s *sentinels) askAddress(ctx context.Context, a *asker[*redis.SentinelClient]) (*election, error) {
	pair, err := a.client.GetMasterAddrByName(ctx, s.options.Master).Result()
	if err == nil && len(pair) != 2 {
		err = fmt.Errorf("the Sentinel answered with the address %q", pair)
	}
	if err != nil {
		return nil, fmt.Errorf("sentinel %s: %w", a.address, err)
	}
	return &election{address: reachable(pair[0], pair[1], a.address), replicas: anyNumber}, nil
}

// adopt makes the primary of best the current one, and adds the Sentinels of answers to
// those to ask.
func (s *sentinels) adopt(best *election, answers []*election) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errGone
	}
	addresses := s.options.Addresses
	for _, a := range answers {
		addresses = append(addresses[:len(addresses):len(addresses)], a.others...)
	}
	s.askers.keep(addresses)
	before := s.now.Load()
	if before != nil && best.epoch < s.epoch && time.Since(s.seenAt) < oldEpochAfter {
		return fmt.Errorf("the Sentinels name %s of config-epoch %d, but named a primary of config-epoch %d before", best.address, best.epoch, s.epoch)
	}
	s.epoch, s.seenAt, s.follow = best.epoch, time.Now(), 0
	for _, a := range answers {
		s.follow = max(s.follow, a.replicas)
	}
	if before != nil && before.address == best.address {
		return nil
	}
	s.now.Store(newPrimary(&s.options, "", best.address))
	if before != nil {
		s.retired.Go(func() { _ = before.close() })
	}
	return nil
}

// checkQuorum asks the Sentinels, and then the primary that they name, which must be in
// epoch.
func (s *sentinels) checkQuorum(ctx context.Context, p *primary, epoch pubsub.Epoch) error {
	if _, err := s.rounds.do(ctx, true); err != nil {
		return err
	}
	named := s.now.Load()
	answer, err := historyScript.evaluate(ctx, named.client, nil, nil).Slice()
	if err != nil {
		return fmt.Errorf("ask %s, the primary that the Sentinels name: %w", named.address, err)
	}
	switch {
	case len(answer) > 0 && answer[0] == int64(epoch):
		return nil
	case named == p:
		return errNewerEpoch
	}
	return fmt.Errorf("the Sentinels name %s as the primary", named.address)
}

func (s *sentinels) close() error {
	s.rounds.close()
	s.askers.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.retired.Wait()
	if p := s.now.Load(); p != nil {
		return p.close()
	}
	return nil
}
