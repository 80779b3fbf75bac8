package server

import (
	"fmt"
	"testing"
	"time"

	"comet/config"
)

func mustRule(t testing.TB, s *config.Settings) *channelRules {
	t.Helper()
	rules, err := newChannelRules(s)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestChannelRules(t *testing.T) {
	t.Parallel()
	rules := mustRule(t, &config.Settings{
		History: config.History{Size: 1000, TTL: 24 * time.Hour},
		Auth:    config.Auth{JWT: config.JWT{MaxAge: 36 * time.Hour, Leeway: 10 * time.Second}},
		Channels: []config.ChannelRule{
			{Match: "chat/secret"},
			{Match: "chat/**", Presence: true, History: config.History{Size: 10}},
			{Match: "news", History: config.History{TTL: time.Minute}},
			{Match: "all/*", Presence: true, History: config.History{Size: 1, TTL: time.Second}},
			{Match: "news", Presence: true, History: config.History{Size: 2}},
			{Match: "*.revocations", Presence: true, History: config.History{Size: 3, TTL: time.Second}},
		},
	})
	for _, test := range []struct {
		channel  string
		size     int
		ttl      time.Duration
		presence bool
	}{
		{"chat", 10, 24 * time.Hour, true},
		{"chat/1/log", 10, 24 * time.Hour, true},
		{"chat/secret", 1000, 24 * time.Hour, false},
		{"news", 1000, time.Minute, false},
		{"all/1", 1, time.Second, true},
		{"all/1/2", 1000, 24 * time.Hour, false},
		{"my.revocations", 3, time.Second, true},
		{"comet.revocations", 1000, 36*time.Hour + 10*time.Second + time.Minute, false}, // no rule reaches it
	} {
		size, ttl := rules.retention(test.channel)
		if presence := rules.presence(test.channel); size != test.size || ttl != test.ttl || presence != test.presence {
			t.Errorf("%s: %d, %v, presence %t; want %+v", test.channel, size, ttl, presence, test)
		}
	}
	if !rules.senders("news") {
		t.Error("without a rule that says so, messages have no sender")
	}
	next, err := newRuling(&config.Settings{History: config.History{Size: 5, TTL: time.Hour}, Channels: []config.ChannelRule{{Match: "votes/*", NoFrom: true}}})
	if err != nil {
		t.Fatal(err)
	}
	rules.put(next)
	if size, ttl := rules.retention("chat"); size != 5 || ttl != time.Hour || rules.presence("chat") {
		t.Errorf("other rules: %d, %v", size, ttl)
	}
	if rules.senders("votes/1") || !rules.senders("chat") {
		t.Error("the rule about senders does not count for its channels alone")
	}
	if _, err := newChannelRules(&config.Settings{Channels: []config.ChannelRule{{Match: ""}}}); err == nil {
		t.Error("an empty pattern is no error")
	}
}

// hundredRules is as many as there may be; only the last one matches.
func hundredRules(t testing.TB) *channelRules {
	s := &config.Settings{History: config.History{Size: 1000, TTL: time.Hour}}
	for i := range 99 {
		s.Channels = append(s.Channels, config.ChannelRule{Match: fmt.Sprintf("room/%d/**", i)})
	}
	s.Channels = append(s.Channels, config.ChannelRule{Match: "room/**", History: config.History{Size: 10}})
	return mustRule(t, s)
}

// The lookup of each publish allocates nothing.
func TestChannelRulesAllocate(t *testing.T) {
	rules := hundredRules(t)
	if n := testing.AllocsPerRun(100, func() {
		if size, _ := rules.retention("room/1000/a/b/c"); size != 10 {
			t.Errorf("size %d", size)
		}
	}); n != 0 {
		t.Errorf("%v allocations for one channel", n)
	}
}

func BenchmarkChannelRules(b *testing.B) {
	rules := hundredRules(b)
	for b.Loop() {
		rules.retention("room/1000/a/b/c")
	}
}
