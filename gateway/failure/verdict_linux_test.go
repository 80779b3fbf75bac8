package failure

import (
	"encoding/json"
	"fmt"
	"strings"

	"comet/pubsub"
)

// judge compares the answers to publishers and the events of subscribers with the truth.
func (r *round) judge() {
	const most = 12 // reported faults
	truths := r.truths()
	wrong := r.wrongPublishing(truths)
	for _, s := range r.subscribers {
		wrong = append(wrong, s.judge(truths)...)
	}
	for _, text := range wrong[:min(len(wrong), most)] {
		r.t.Error(text)
	}
	if len(wrong) > most {
		r.t.Errorf("and %d more", len(wrong)-most)
	}
	count := make(map[happeningKind]int)
	for _, s := range r.subscribers {
		for _, all := range s.got {
			for _, h := range all {
				count[h.kind]++
			}
		}
	}
	lost := 0
	for _, truth := range truths {
		lost += len(truth.lost)
	}
	r.t.Logf("%d messages and %d gaps delivered; %d acknowledged messages were lost", count[gotMessage], count[gotGap], lost)
}

// wrongPublishing returns the faults of receipts and logs.
func (r *round) wrongPublishing(truths map[string]*truth) (wrong []string) {
	for _, p := range r.publishers {
		wrong = append(wrong, p.wrong...)
		for _, key := range p.unknown {
			wrong = append(wrong, fmt.Sprintf("%s: publish %s was not decided in time", p.name, key))
		}
	}
	for _, channel := range channels {
		wrong = append(wrong, truths[channel].check()...)
	}
	return wrong
}

// judge returns the faults of the subscriber's events, each with a part of the history.
func (s *subscriber) judge(truths map[string]*truth) (wrong []string) {
	wrong = s.wrong
	for _, channel := range s.channels {
		all := s.got[channel]
		if at, err := newJudge(truths[channel]).history(all); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s, %s: %v\n%s", s.name, channel, err, around(all, at)))
		}
	}
	return wrong
}

// truths returns the truth of every channel.
func (r *round) truths() map[string]*truth {
	alive := make(map[pubsub.Epoch]bool)
	for _, p := range r.redis.primaries() {
		alive[r.redis.generation(p)] = true
	}
	truths := make(map[string]*truth)
	for _, channel := range channels {
		t := newTruth(channel, append(r.lives[channel], r.redis.log(channel)))
		t.alive, t.quiet = alive, r.redis.quiet
		truths[channel] = t
	}
	for _, p := range r.publishers {
		for _, receipt := range p.receipts {
			truths[logOf(receipt.channel)].acknowledge(receipt)
		}
		for _, key := range p.unknown {
			for _, t := range truths {
				t.sent[key] = true
			}
		}
	}
	return truths
}

// around prints the events around the one at i.
func around(all []happening, i int) string {
	const before, after = 6, 3
	var text strings.Builder
	for n := max(0, i-before); n < min(len(all), i+after); n++ {
		mark := "   "
		if n == i {
			mark = " → "
		}
		fmt.Fprintln(&text, mark, all[n])
	}
	return text.String()
}

// keyOf returns the key in a message's data, empty if that is not a payload.
func keyOf(data string) string {
	var p payload
	if json.Unmarshal([]byte(data), &p) != nil {
		return ""
	}
	return p.Key
}
