package failure

import (
	"fmt"
	"math/rand/v2"

	"comet/pubsub"
)

// Channels that subscribers follow by pattern: a thousand below wood, in two index logs,
// and twenty below copse, in one. To the judge an index log is one channel more.
const (
	woodChannels  = 1000
	copseChannels = 20

	patternRules = `[{match: "wood/**", patterns: true, index: 2}, {match: "copse/*", patterns: true, index: 1}]`
)

// plain are the channels of every round that have no index log.
var plain = []string{"ash", "birch", "cedar", "elm", "fir"}

// index is that of the nodes.
var index = func() *pubsub.Index {
	x, err := pubsub.NewIndex([]pubsub.IndexRule{{Match: "wood/**", Logs: 2}, {Match: "copse/*", Logs: 1}})
	if err != nil {
		panic(err)
	}
	return x
}()

// indexLogs returns the index logs of a pattern.
func indexLogs(pattern string) []string {
	p, err := index.Pattern(pattern)
	if err != nil {
		panic(err)
	}
	return p.Logs
}

// logOf returns the log that is judged for a message of channel.
func logOf(channel string) string {
	if log := index.Log(channel); log != "" {
		return log
	}
	return channel
}

// anyChannel returns a channel to publish to.
func anyChannel(random *rand.Rand) string {
	switch random.IntN(3) {
	case 0:
		return fmt.Sprintf("wood/%d", random.IntN(woodChannels))
	case 1:
		return fmt.Sprintf("copse/%d", random.IntN(copseChannels))
	}
	return plain[random.IntN(len(plain))]
}

// channelIn returns a channel with messages in a log.
func channelIn(log string) string {
	for i := range woodChannels {
		for _, parent := range []string{"wood", "copse"} {
			if channel := fmt.Sprintf("%s/%d", parent, i); index.Log(channel) == log {
				return channel
			}
		}
	}
	return log
}
