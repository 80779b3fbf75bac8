package bench

import (
	"net/url"
	"slices"
)

// dialect is how a server is asked for what a channel gets, and given a
// message. Its methods are called concurrently.
type dialect interface {
	traits() traits
	// appendPath adds the path, with its query, of a subscriber's GET.
	appendPath(b []byte, s *seek) []byte
	// appendHeader adds header lines of its own, each ended by CRLF.
	appendHeader(b []byte, s *seek) []byte
	// next reads the answer to a poll: where the next one goes on, and how many
	// gaps it told of. Nothing is kept of head and body.
	next(b []byte, head, body []byte) (cursor []byte, gaps int, err error)
	// publish is the request that publishes data. Key is the same whenever the
	// message is.
	publish(channel, key, data string) publication
	// refused is why a publish was not taken in spite of its status; "" if it was.
	refused(answer []byte) string
}

// traits are what a server can do.
type traits struct {
	polls    bool // long-polls
	atOnce   bool // polls that do not wait
	primed   bool // a poll without a cursor waits, so a channel must have a message before
	resumes  bool // a subscriber that comes back misses nothing
	earliest bool // and one without a cursor can begin with the oldest message kept
	keyed    bool // a publish can be repeated: its key keeps it from being published twice
}

// seek is what a subscriber asks for.
type seek struct {
	channel  string
	cursor   []byte // empty: none yet
	earliest bool   // without a cursor: begin with the oldest message kept
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

// header is what goes with every request, subscriber's or publisher's.
func (t *Target) header() []string {
	if t.Token == "" || t.Preset == presetCentrifugo {
		return t.Headers
	}
	return append(slices.Clip(t.Headers), "Authorization: Bearer "+t.Token)
}

// appendEscaped adds text as a query may have it.
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

// appendLastEventID is how a stream resumes (HTML, section 9.2.4).
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
