package cluster

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"comet/pubsub"
)

// TopChannels is the maximum number of channels in a node's report, busiest first.
// Long names reduce it, because of MaxReportBytes.
const TopChannels = 1000

// isPublic is false for the nodes' own channels, which are not listed.
func isPublic(channel string) bool { return !strings.HasPrefix(channel, pubsub.ControlPrefix) }

// channelReport is what a node says of its channels.
type channelReport struct {
	Complete bool              `json:"complete"` // these are all it has
	Channels []pubsub.Audience `json:"channels"` // the busiest first
}

// encodeChannels is this node's channelReport.
func (h *Heartbeat) encodeChannels() []byte {
	top, all := h.options.Hub.Busiest(TopChannels, isPublic)
	return encodeChannelReport(top, all, pubsub.MaxReportBytes)
}

// encodeChannelReport takes as many of top as limit bytes hold.
func encodeChannelReport(top []pubsub.Audience, all, limit int) []byte {
	for n := len(top); ; n = n * 3 / 4 {
		data, err := json.Marshal(channelReport{Complete: n == all, Channels: top[:n]})
		if err == nil && len(data) <= limit || n == 0 {
			return data
		}
	}
}

func parseChannelReport(data []byte) (c channelReport, err error) {
	if err := json.Unmarshal(data, &c); err != nil {
		return channelReport{}, fmt.Errorf("not a node's channels: %w", err)
	}
	for _, a := range c.Channels {
		if a.Subscribers < 1 || a.Subscribers > math.MaxInt32 {
			return channelReport{}, fmt.Errorf("not a node's channels: %q has %d subscribers", a.Channel, a.Subscribers)
		}
	}
	return c, nil
}

// ChannelCount is how many subscribers a channel has, over all nodes.
type ChannelCount struct {
	pubsub.Audience
	Nodes int `json:"nodes"` // that have some of them
}

// ChannelList is the answer of GET /v1/channels.
type ChannelList struct {
	Channels []ChannelCount `json:"channels"` // the busiest first
	Found    int            `json:"found"`    // channels that fit, also those beyond the limit
	// Complete is false if a node has more channels than its report holds, or is
	// in Silent. The counts are then lower bounds.
	Complete bool     `json:"complete"`
	Silent   []string `json:"silent,omitempty"` // nodes that have not reported yet
}

// sumChannels is what nodes said, of channels that begin with prefix, at most limit.
func sumChannels(all []channelReport, prefix string, limit int) ChannelList {
	byName := make(map[string]*ChannelCount)
	sum := ChannelList{Channels: []ChannelCount{}, Complete: true}
	for _, c := range all {
		sum.Complete = sum.Complete && c.Complete
		for _, a := range c.Channels {
			if !strings.HasPrefix(a.Channel, prefix) {
				continue
			}
			if byName[a.Channel] == nil {
				byName[a.Channel] = &ChannelCount{Audience: pubsub.Audience{Channel: a.Channel}}
			}
			byName[a.Channel].Subscribers += a.Subscribers
			byName[a.Channel].Nodes++
		}
	}
	for _, c := range byName {
		sum.Channels = append(sum.Channels, *c)
	}
	slices.SortFunc(sum.Channels, func(a, b ChannelCount) int { return pubsub.CompareAudiences(a.Audience, b.Audience) })
	sum.Found = len(sum.Channels)
	sum.Channels = sum.Channels[:min(limit, sum.Found)]
	return sum
}
