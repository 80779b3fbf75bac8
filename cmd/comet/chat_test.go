package main

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"comet/internal/testenv"
)

var chatDuration = flag.Duration("chat.duration", 0, "how long TestChat takes, with longer troubles; 0: a round or two")

// TestChat has three browsers on three nodes talk while tabs are closed, nodes
// die, Redis restarts and the network fails. At the end all pages show all
// messages, in the same order.
func TestChat(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	lasts, network := 20*time.Second, 3*time.Second
	if *chatDuration > 0 {
		lasts, network = *chatDuration, 20*time.Second
	}
	c := newChatTrial(t, network)
	began, rounds := time.Now(), 0
	for rounds == 0 || time.Since(began) < lasts {
		rounds++
		c.talk(3)
		c.typing()
		c.direct()
		for _, i := range rand.Perm(4) {
			who := c.people[rand.N(len(c.people))]
			c.trouble([]func(){
				func() { c.reopen(who) },
				func() { c.killNode(who) },
				func() { c.restartRedis() },
				func() { c.cutNetwork(who) },
			}[i])
		}
		c.everyoneThere()
	}
	c.wantTranscripts()
	c.wantQuietConsoles()
	t.Logf("%d rounds in %v", rounds, time.Since(began).Round(time.Second))
}
