package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"comet/pubsub"
)

func audiences(pairs ...any) (all []pubsub.Audience) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pubsub.Audience{Channel: pairs[i].(string), Subscribers: pairs[i+1].(int)})
	}
	return all
}

func TestAddUp(t *testing.T) {
	t.Parallel()
	whole := channelReport{true, audiences("news", 5, "chat/1", 3, "sport", 1)}
	part := channelReport{false, audiences("news", 9, "chat/2", 4)}
	for name, test := range map[string]struct {
		all    []channelReport
		prefix string
		limit  int
		want   ChannelList
	}{
		"no nodes":  {nil, "", 10, ChannelList{Channels: []ChannelCount{}, Complete: true}},
		"one":       {[]channelReport{whole}, "", 10, ChannelList{counts("news", 5, 1, "chat/1", 3, 1, "sport", 1, 1), 3, true, nil}},
		"two":       {[]channelReport{whole, part}, "", 10, ChannelList{counts("news", 14, 2, "chat/2", 4, 1, "chat/1", 3, 1, "sport", 1, 1), 4, false, nil}},
		"prefix":    {[]channelReport{whole, part}, "chat/", 10, ChannelList{counts("chat/2", 4, 1, "chat/1", 3, 1), 2, false, nil}},
		"limit":     {[]channelReport{whole, whole}, "", 1, ChannelList{counts("news", 10, 2), 3, true, nil}},
		"by name":   {[]channelReport{{true, audiences("b", 1, "a", 1)}}, "", 10, ChannelList{counts("a", 1, 1, "b", 1, 1), 2, true, nil}},
		"no prefix": {[]channelReport{whole}, "x", 10, ChannelList{Channels: []ChannelCount{}, Complete: true}},
	} {
		if got := sumChannels(test.all, test.prefix, test.limit); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func counts(triples ...any) (all []ChannelCount) {
	for i := 0; i < len(triples); i += 3 {
		all = append(all, ChannelCount{pubsub.Audience{Channel: triples[i].(string), Subscribers: triples[i+1].(int)}, triples[i+2].(int)})
	}
	return all
}

// A report on channels has as many channels as fit, the busiest, and says when there are more.
func TestEncodeCensus(t *testing.T) {
	t.Parallel()
	var top []pubsub.Audience
	for i := range TopChannels {
		top = append(top, pubsub.Audience{Channel: fmt.Sprintf("%s%d", strings.Repeat("<", 250), i), Subscribers: TopChannels - i})
	}
	for _, test := range []struct {
		top      []pubsub.Audience
		all      int
		complete bool
		least    int
	}{
		{nil, 0, true, 0},
		{top[:3], 3, true, 3},
		{top[:3], 4, false, 3},
		{top, TopChannels, false, 30}, // of 1.5 KiB each
	} {
		data := encodeChannelReport(test.top, test.all, pubsub.MaxReportBytes)
		c, err := parseChannelReport(data)
		if err != nil || c.Complete != test.complete || len(c.Channels) < test.least || len(data) > pubsub.MaxReportBytes {
			t.Errorf("%d of %d: %d bytes, %d channels, complete %v, %v", len(test.top), test.all, len(data), len(c.Channels), c.Complete, err)
		}
		if len(c.Channels) > 0 && !reflect.DeepEqual(c.Channels, test.top[:len(c.Channels)]) {
			t.Error("these are not the busiest")
		}
	}
}

// A parsed report is the same after it is encoded again, and can be summed.
func FuzzParseCensus(f *testing.F) {
	f.Add([]byte(`{"complete":true,"channels":[{"channel":"news","subscribers":2}]}`))
	f.Add([]byte(`{"channels":[{"channel":"a","subscribers":1},{"channel":"a","subscribers":1}]}`))
	f.Add([]byte(`{"channels":[{"channel":"a","subscribers":-1}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseChannelReport(data)
		if err != nil {
			return
		}
		again, err := parseChannelReport(encodeChannelReport(c.Channels, len(c.Channels), 2*len(data)*6+100))
		if err != nil || len(again.Channels) != len(c.Channels) {
			t.Fatalf("%d channels became %d, %v", len(c.Channels), len(again.Channels), err)
		}
		for i, one := range sumChannels([]channelReport{c}, "", len(c.Channels)).Channels {
			if one.Subscribers < 1 || one.Nodes < 1 || i >= len(c.Channels) {
				t.Errorf("%+v", one)
			}
		}
	})
}

// A report that is parsed and written says the same.
func FuzzParseReport(f *testing.F) {
	f.Add([]byte(`{"id":"a.1","name":"a","ready":true,"connections":{"total":2,"streams":1},"cpu_percent":1.5,"unknown":{}}`))
	f.Add([]byte(`{"id":""}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReport(data)
		if err != nil {
			return
		}
		once, err := json.Marshal(r)
		if err != nil {
			t.Skip("a time beyond what JSON has")
		}
		again, err := ParseReport(once)
		twice, err2 := json.Marshal(again)
		if err != nil || err2 != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s became %s, %v, %v", once, twice, err, err2)
		}
	})
}
