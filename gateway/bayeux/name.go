package bayeux

import "strings"

// The meta channels.
const (
	metaHandshake   = "/meta/handshake"
	metaConnect     = "/meta/connect"
	metaSubscribe   = "/meta/subscribe"
	metaUnsubscribe = "/meta/unsubscribe"
	metaDisconnect  = "/meta/disconnect"
)

// isMeta and isService report whether a channel is private to the protocol, or to a
// client and the application.
func isMeta(name string) bool    { return name == "/meta" || strings.HasPrefix(name, "/meta/") }
func isService(name string) bool { return name == "/service" || strings.HasPrefix(name, "/service/") }

// validName reports whether name is a channel: `/` and a segment, once or more often.
func validName(name string) bool {
	rest, ok := strings.CutPrefix(name, "/")
	if !ok {
		return false
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if segment == "" || strings.ContainsFunc(segment, func(r rune) bool { return !nameRune(r) }) {
			return false
		}
	}
	return true
}

// nameRune reports whether a segment may have r: the alphanum and mark of the
// specification and, as in CometD, a dot, which many channels have.
func nameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_!~()$@.", r)
}

// cutGlob cuts the wildcard of a pattern, which may be only its last segment. ok is
// false if name is no pattern. base is empty, or a channel.
func cutGlob(name string) (base, glob string, ok bool) {
	for _, glob := range []string{"/**", "/*"} {
		if base, ok := strings.CutSuffix(name, glob); ok && (base == "" || validName(base)) {
			return base, glob, true
		}
	}
	return "", "", false
}

// channelOf returns the channel of Comet that a valid name stands for.
func (s *Server) channelOf(name string) string { return s.options.Prefix + name[1:] }

// nameOf returns what clients call a channel of Comet.
func (s *Server) nameOf(channel string) string {
	return "/" + strings.TrimPrefix(channel, s.options.Prefix)
}
