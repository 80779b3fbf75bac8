package bench

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits that come from the digits of a payload header and from memory.
const (
	maxSubscribers = 10_000_000
	maxPublishers  = 4096
	maxSize        = 16 << 20
)

// channelStart matches a prefix of a channel's name that needs no escaping in a
// path, a query or JSON.
var channelStart = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$`)

// mistakes collects errors, one line each.
type mistakes []error

func (m *mistakes) add(field, format string, args ...any) {
	*m = append(*m, fmt.Errorf(field+": "+format, args...))
}

// Validate reports every mistake, one line each that begins with the field. It
// sends no request.
func (p Plan) Validate() error {
	p = p.complete()
	var m mistakes
	for _, number := range []struct {
		field           string
		value, min, max int
	}{
		{"subscribers", p.Subscribers, 1, maxSubscribers},
		{"channels", p.Channels, 1, max(1, p.Subscribers)}, // more would have no subscribers
		{"messages", p.Messages, 0, 1 << 31},
		{"publishers", p.Publishers, 1, maxPublishers},
		{"size", p.Size, MinSize, maxSize},
	} {
		if number.value < number.min || number.value > number.max {
			m.add(number.field, "%d is not between %d and %d", number.value, number.min, number.max)
		}
	}
	for _, length := range []struct {
		field string
		value time.Duration
	}{{"interval", p.Interval}, {"ramp", p.Ramp}, {"settle", p.Settle}, {"duration", p.Duration}, {"patience", p.Patience}} {
		if length.value < 0 {
			m.add(length.field, "%v is negative", length.value)
		}
	}
	p.validateLoad(&m)
	p.Target.validate(&m, &p)
	return errors.Join(m...)
}

func (p *Plan) validateLoad(m *mistakes) {
	if p.Rate < 0 {
		m.add("rate", "%v is negative", p.Rate)
	}
	if p.Rate > 0 && !p.publishes() {
		m.add("rate", "nothing ends the publishing: set messages or a duration")
	}
	if p.Churn < 0 || p.Churn > 1 {
		m.add("churn", "%v is not between 0 and 1, the share of subscribers per second", p.Churn)
	}
	if !channelStart.MatchString(p.Channel) {
		m.add("channel", "%q must begin with a letter or digit and have only letters, digits and . _ - /", p.Channel)
	}
	all := []Transport{SSE, LongPoll, ShortPoll, Bayeux, Mixed}
	if !slices.Contains(all, p.Transport) {
		m.add("transport", "%q is none of %q", p.Transport, all)
	}
	for _, pid := range slices.Concat(p.ServerPIDs, p.StorePIDs) {
		if pid < 1 {
			m.add("pid", "%d is not a process ID", pid)
		}
	}
	if p.MetricsURL != "" {
		if _, err := parseBase(p.MetricsURL); err != nil {
			m.add("metrics", "%v", err)
		}
	}
}

// Validate reports every mistake of the target, as Plan.Validate does.
func (t Target) Validate() error {
	p := Plan{Target: t, Subscribers: 1}.complete()
	var m mistakes
	p.Target.validate(&m, &p)
	return errors.Join(m...)
}

func (t *Target) validate(m *mistakes, p *Plan) {
	d, known := presets[t.Preset]
	if !known {
		m.add("preset", "%q is none of %q", t.Preset, Presets())
		return
	}
	for _, base := range t.Nodes {
		if _, err := parseBase(base); err != nil {
			m.add("nodes", "%v", err)
		}
	}
	if t.Preset == presetCustom {
		t.validateCustom(m, p)
	} else if t.SubscribeURL != "" || t.PublishURL != "" || t.PublishBody != "" || t.PublishMethod != "" {
		m.add("preset", "subscribe and publish templates go with the preset custom, not with %s", t.Preset)
	}
	if len(t.Nodes) == 0 && (t.Preset != presetCustom || !absolute(t.SubscribeURL)) {
		m.add("nodes", "name at least one, like http://127.0.0.1:8080")
	}
	can := d(t).traits()
	switch {
	case (p.Transport == LongPoll || p.Transport == Mixed) && !can.polls:
		m.add("transport", "the preset %s has no long-polls: use %s", t.Preset, SSE)
	case p.Transport == Bayeux && t.Preset != presetComet:
		m.add("transport", "bayeux goes with the preset comet, not with %s", t.Preset)
	case p.Transport == ShortPoll && !can.atOnce:
		m.add("transport", "the preset %s has no short polls: use another transport", t.Preset)
	}
	t.validateHeaders(m)
}

func (t *Target) validateCustom(m *mistakes, p *Plan) {
	if t.SubscribeURL == "" {
		m.add("subscribe url", "the preset custom needs one, like /events?channel={channel}")
	}
	if t.PublishURL == "" && p.publishes() {
		m.add("publish url", "it is needed to publish: leave it out only without messages and duration")
	}
	for _, template := range []struct{ field, url string }{{"subscribe url", t.SubscribeURL}, {"publish url", t.PublishURL}} {
		switch {
		case template.url == "":
		case absolute(template.url):
			if _, _, err := splitTemplate(template.url); err != nil {
				m.add(template.field, "%v", err)
			}
		case !strings.HasPrefix(template.url, "/"):
			m.add(template.field, "%q is neither a URL nor a path that begins with a slash", template.url)
		case len(t.Nodes) == 0:
			m.add(template.field, "%q is a path, and there are no nodes: use a URL, or set nodes", template.url)
		}
		if strings.ContainsAny(template.url, " \r\n\t") {
			m.add(template.field, "%q has white space in it: percent-encode it", template.url)
		}
	}
	if !strings.Contains(t.PublishBody, "{data}") {
		m.add("publish body", "it lacks {data}, the place of the message")
	}
	if p.Channels > 1 && !strings.Contains(t.SubscribeURL, "{channel}") {
		m.add("subscribe url", "it lacks {channel}, and there are %d channels", p.Channels)
	}
}

// headerLine matches a field of RFC 9110, section 5, without characters that would
// end its line.
var headerLine = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[^\x00-\x08\x0a-\x1f\x7f]*$")

func (t *Target) validateHeaders(m *mistakes) {
	for i, header := range t.Headers {
		if !headerLine.MatchString(header) {
			m.add("headers", "the %s is not like \"Name: value\"", ordinal(i)) // without its text, which may be a secret
		}
	}
	if strings.ContainsFunc(t.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		m.add("token", "it has white space or other characters that a header may not have")
	}
}

func ordinal(i int) string {
	if words := []string{"first", "second", "third"}; i < len(words) {
		return words[i]
	}
	return fmt.Sprintf("%dth", i+1)
}
