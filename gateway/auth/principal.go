package auth

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Permissions are the channels that a principal may subscribe to, publish to, and so
// on. Nil and empty permit nothing, with one exception: with a nil Presence or
// History, Subscribe applies.
type Permissions struct {
	Subscribe Patterns
	Publish   Patterns
	Presence  Patterns
	History   Patterns
}

func (p *Permissions) hasNothing() bool {
	return len(p.Subscribe)+len(p.Publish)+len(p.Presence)+len(p.History) == 0
}

// Principal is a client and its permissions. An anonymous one has neither User nor
// Key.
type Principal struct {
	Permissions
	User string          // sub of the token
	Key  string          // name of the key
	Info json.RawMessage // JSON from the token about the user; nil: absent

	IssuedAt time.Time // zero: not in the token
	Expires  time.Time // exp of the token; zero: never
	// Ends is when a stream must end: a grace period after Expires or after the
	// maximum age of the token, and not before a new request would be refused.
	// Zero: never.
	Ends time.Time
}

// Credential returns the kind of credential of p.
func (p *Principal) Credential() Credential {
	switch {
	case p.User != "":
		return Token
	case p.Key != "":
		return Key
	}
	return None
}

// keySender begins the sender of messages that a key publishes.
const keySender = "key:"

// Sender returns the sender of messages that p publishes: the user, or `key:` and the name
// of the key. An anonymous client has none, "", and so has a user whose name could be
// taken for a key's.
func (p *Principal) Sender() string {
	switch {
	case p.Key != "":
		return keySender + p.Key
	case strings.HasPrefix(p.User, keySender):
		return ""
	}
	return p.User
}

// MaySubscribe returns nil or a *DeniedError, as the others do. A pattern in the place of
// a channel means all channels that it can match.
func (p *Principal) MaySubscribe(channel string) error {
	return p.may(Subscribe, p.Subscribe, Subscribe, channel)
}

// MayPublish returns nil or a *DeniedError.
func (p *Principal) MayPublish(channel string) error {
	return p.may(Publish, p.Publish, Publish, channel)
}

// MaySeePresence returns nil or a *DeniedError.
func (p *Principal) MaySeePresence(channel string) error {
	if p.Presence == nil {
		return p.may(Presence, p.Subscribe, Subscribe, channel)
	}
	return p.may(Presence, p.Presence, Presence, channel)
}

// MayReadHistory returns nil or a *DeniedError.
func (p *Principal) MayReadHistory(channel string) error {
	if p.History == nil {
		return p.may(History, p.Subscribe, Subscribe, channel)
	}
	return p.may(History, p.History, History, channel)
}

// may checks verb by patterns, which are those of list.
func (p *Principal) may(verb Verb, patterns Patterns, list Verb, channel string) error {
	denied := &DeniedError{Verb: verb, Channel: channel, Credential: p.Credential(), Lacking: p.nameOf(list)}
	if !strings.Contains(channel, "*") {
		if patterns.Match(channel) {
			return nil
		}
		return denied
	}
	asked, err := ParsePattern(channel)
	switch {
	case err != nil:
		return denied
	case patterns.Cover(asked):
		return nil
	}
	denied.Allowed = within(asked, patterns)
	return denied
}

// within returns the first few patterns that lie within the one that was asked for.
func within(asked Pattern, patterns Patterns) (all []string) {
	for _, p := range patterns {
		if len(all) < 3 && (Patterns{asked}).Cover(p) {
			all = append(all, p.String())
		}
	}
	return all
}

// nameOf returns where list is defined, in words.
func (p *Principal) nameOf(list Verb) string {
	switch p.Credential() {
	case Token:
		return fmt.Sprintf("the claim comet.%s of your token", list)
	case Key:
		return fmt.Sprintf("the permission %s of the key %q", list, p.Key)
	}
	return fmt.Sprintf("the setting auth.anonymous.%s", list)
}
