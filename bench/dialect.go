package bench

import (
	"net/url"
	"slices"
)

// dialect is the API of a server: how to subscribe and how to publish. Its
// methods are called concurrently.
type dialect interface {
	traits() traits
	// appendPath adds the path, with its query, of a subscriber's GET.
	appendPath(b []byte, s *seek) []byte
	// appendHeader adds the dialect's header lines, each ended by CRLF.
	appendHeader(b []byte, s *seek) []byte
	// next parses the answer to a poll. It appends the cursor of the next poll to
	// b and counts the reported gaps. It does not retain head and body.
	next(b []byte, head, body []byte) (cursor []byte, gaps int, err error)
	// publish returns the request that publishes data. Retries of a message have
	// the same key.
	publish(channel, key, data string) publication
	// refused returns why a publish failed in spite of its status; "" if it did not.
	refused(answer []byte) string
}

// traits are what a server can do.
type traits struct {
	polls    bool // long-polls
	atOnce   bool // polls that do not wait
	primed   bool // a poll without a cursor waits, so a channel must have a message before
	resumes  bool // a subscriber that reconnects misses nothing
	earliest bool // a subscriber without a cursor can begin with the oldest message
	keyed    bool // a publish can be retried: its key prevents duplicates
}

// seek is what a subscriber asks for.
type seek struct {
	channel  string
	cursor   []byte // empty: none yet
	earliest bool   // without a cursor: begin with the oldest message
	poll     bool
	wait     bool // of a poll: until there is something
}

// publication is a publish request.
type publication struct {
	method, path string
	header       [][2]string
	body         string
}

// Names of the presets.
const (
	presetComet      = "comet"
	presetNchan      = "nchan"
	presetMercure    = "mercure"
	presetCentrifugo = "centrifugo"
	presetCustom     = "custom"
)

var presets = map[string]func(*Target) dialect{
	presetComet:      func(*Target) dialect { return comet{} },
	presetNchan:      func(*Target) dialect { return nchan{} },
	presetMercure:    func(*Target) dialect { return mercure{} },
	presetCentrifugo: func(t *Target) dialect { return centrifugo{key: t.Token} },
	presetCustom:     func(t *Target) dialect { return newCustom(t) },
}

// Presets are the names that Target.Preset may have, the default first.
func Presets() []string {
	return []string{presetComet, presetNchan, presetMercure, presetCentrifugo, presetCustom}
}

func (t *Target) dialect() dialect { return presets[t.Preset](t) }

// dialect returns that of the target, for the transport of the plan.
func (p *Plan) dialect() dialect {
	if p.Transport == Bayeux {
		return bayeux{}
	}
	return p.Target.dialect()
}

// polls reports whether the subscribers only poll.
func (t Transport) polls() bool { return t == LongPoll || t == ShortPoll || t == Bayeux }

// header returns the header lines of every request, of subscribers and publishers.
func (t *Target) header() []string {
	if t.Token == "" || t.Preset == presetCentrifugo {
		return t.Headers
	}
	return append(slices.Clip(t.Headers), "Authorization: Bearer "+t.Token)
}

// appendEscaped adds text with the escaping of a query.
func appendEscaped(b, text []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// appendLastEventID adds the header with which a stream resumes (HTML, section 9.2.4).
func appendLastEventID(b []byte, s *seek) []byte {
	if len(s.cursor) == 0 || s.poll {
		return b
	}
	b = append(b, "Last-Event-ID: "...)
	b = append(b, s.cursor...)
	return append(b, "\r\n"...)
}

var plainText = [][2]string{{"Content-Type", "text/plain"}}

func formBody(pairs url.Values) (header [][2]string, body string) {
	return [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}}, pairs.Encode()
}
