package redisbroker_test

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// Two of three Sentinels are listed, and one of the two is lost together with the
// primary: the other two promote a replica, and delivery goes on.
func TestSentinelTwoListed(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	options := watch(sentinel)
	options.Addresses = append([]string{"127.0.0.1:1"}, options.Addresses[:2]...) // and one that was retired
	takeover(t, sentinel, options, func() { sentinel.Sentinels()[0].Kill() })
}

// A Sentinel that has not heard of the takeover, as it is cut off from the
// others, is overruled by one that has.
func TestSentinelOldView(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	options := watch(sentinel)
	old := startOldSentinel(t, sentinel.Servers()[0].Addr(), true)
	options.Addresses = []string{old, options.Addresses[2]}
	takeover(t, sentinel, options, func() {})
}

// A user that may ask the Sentinels for the address alone finds the primary.
func TestSentinelAddressAlone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.TCP)
	c := newHarness(t, redisbroker.Options{Addresses: []string{startOldSentinel(t, server.Addr(), false)}, Master: "comet"})
	c.listen("a")
	c.say("a")
	c.drain()
	c.verify()
}

// takeover lets the replica take over from a frozen primary, and then thaws the old
// primary.
func takeover(t *testing.T, sentinel *redistest.Sentinel, options redisbroker.Options, also func()) {
	t.Helper()
	old := sentinel.Servers()[0]
	c := newHarness(t, options)
	c.listen("a")
	c.say("a")
	c.awaitReceived()
	old.AwaitReplica(sentinel.Servers()[1])
	also()
	old.Freeze()
	sentinel.AwaitPrimaryOther(old)
	c.awaitGaps(1)
	c.say("a")
	c.awaitReady(0, true)
	old.Thaw()
	c.say("a")
	c.drain()
	c.verify(pubsub.Failover)
}

// startOldSentinel starts a fake Sentinel with epoch 0 that names the server at primary,
// and knows no other Sentinel. Unless all is true, it only answers with the address.
func startOldSentinel(t *testing.T, primary string, all bool) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var busy sync.WaitGroup
	t.Cleanup(busy.Wait) // the brokers, which hold the connections, are closed before
	t.Cleanup(func() { l.Close() })
	host, port, _ := net.SplitHostPort(primary)
	list := func(words ...string) string {
		text := fmt.Sprintf("*%d\r\n", len(words))
		for _, word := range words {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
		}
		return text
	}
	answers := map[string]string{
		"sentinel master":                  list("ip", host, "port", port, "config-epoch", "0", "quorum", "2"),
		"sentinel sentinels":               list(),
		"sentinel get-master-addr-by-name": list(host, port),
	}
	if !all {
		answers["sentinel master"] = "-NOPERM this user has no permissions to run the 'sentinel|master' command\r\n"
	}
	busy.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			busy.Go(func() {
				defer c.Close()
				for words := range commands(c) {
					answer := answers[strings.ToLower(strings.Join(words[:min(2, len(words))], " "))]
					fmt.Fprint(c, cmp.Or(answer, "-ERR unknown command\r\n"))
				}
			})
		}
	})
	return l.Addr().String()
}

// commands yields the words of each command, until the connection ends.
func commands(c net.Conn) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		in := bufio.NewReader(c)
		for {
			var n int
			if _, err := fmt.Fscanf(in, "*%d\r\n", &n); err != nil {
				return
			}
			words := make([]string, n)
			for i := range words {
				var length int
				if _, err := fmt.Fscanf(in, "$%d\r\n%s\r\n", &length, &words[i]); err != nil {
					return
				}
			}
			if !yield(words) {
				return
			}
		}
	}
}

// No Sentinel is left when the primary begins a new run. Readers from the run before get
// no page, the node reports that it is not ready and why, and goes on when a Sentinel is
// back.
func TestSentinelUnconfirmed(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, redistest.Persist)
	for _, watcher := range sentinel.Sentinels() {
		watcher.Do("SENTINEL", "SET", sentinel.Master(), "down-after-milliseconds", 60_000)
	}
	primary := sentinel.Servers()[0]
	c := newHarness(t, watch(sentinel))
	c.listenFixed("a")
	c.say("a")
	c.awaitReceived()
	before := c.log("a").End
	for _, watcher := range sentinel.Sentinels() {
		watcher.Stop()
	}
	primary.Restart()
	await(t, "the node says what is not confirmed", func() bool {
		err := c.brokers[0].Ready()
		return err != nil && strings.Contains(err.Error(), "has not been confirmed")
	})
	page := c.brokers[0].Read(t.Context(), []pubsub.Query{{Channel: "a", Cursor: before, Epoch: before.Epoch, Limit: 1}})[0]
	if !errors.Is(page.Err, pubsub.ErrUnconfirmed) {
		t.Errorf("read from the life before: %v, want ErrUnconfirmed", page.Err)
	}
	if age := c.brokers[0].Stats().Unconfirmed; age < timeout {
		t.Errorf("it has not been confirmed for %v", age)
	}
	sentinel.Sentinels()[1].Restart()
	c.awaitReady(0, true)
	c.awaitReady(1, true)
	c.say("a")
	c.drain()
	c.verify(pubsub.Failover)
}
