package auth

import (
	"encoding/json"
	"fmt"
	"time"
)

// Permissions says which channels somebody may do what with. Nil and empty let
// nobody do anything, but for a nil Presence and a nil History: then who may
// subscribe may also see who is there, and read what was there before.
type Permissions struct {
	Subscribe Patterns
	Publish   Patterns
	Presence  Patterns
	History   Patterns
}

func (p *Permissions) hasNothing() bool {
	return len(p.Subscribe)+len(p.Publish)+len(p.Presence)+len(p.History) == 0
}

// Principal is somebody and what they may do. Anonymous ones have neither User
// nor Key.
type Principal struct {
	Permissions
	User string          // sub of the token
	Key  string          // name of the key
	Info json.RawMessage // JSON from the token, about the user; nil: nothing

	IssuedAt time.Time // zero: the token does not say
	Expires  time.Time // exp of the token; zero: never
	// Ends is when a stream must end: some grace after Expires, or after the
	// greatest age of a token, and not before a new request would be refused.
	// Zero: never.
	Ends time.Time
}

// Credential is what they showed.
func (p *Principal) Credential() Credential {
	switch {
	case p.User != "":
		return Token
	case p.Key != "":
		return Key
	}
	return None
}

// MaySubscribe is nil, or a *DeniedError.
func (p *Principal) MaySubscribe(channel string) error {
	return p.may(Subscribe, p.Subscribe, Subscribe, channel)
}

// MayPublish is nil, or a *DeniedError.
func (p *Principal) MayPublish(channel string) error {
	return p.may(Publish, p.Publish, Publish, channel)
}

// MaySeePresence is nil, or a *DeniedError.
func (p *Principal) MaySeePresence(channel string) error {
	if p.Presence == nil {
		return p.may(Presence, p.Subscribe, Subscribe, channel)
	}
	return p.may(Presence, p.Presence, Presence, channel)
}

// MayReadHistory is nil, or a *DeniedError.
func (p *Principal) MayReadHistory(channel string) error {
	if p.History == nil {
		return p.may(History, p.Subscribe, Subscribe, channel)
	}
	return p.may(History, p.History, History, channel)
}

// may judges verb by patterns, which are what list names.
func (p *Principal) may(verb Verb, patterns Patterns, list Verb, channel string) error {
	if patterns.Match(channel) {
		return nil
	}
	return &DeniedError{Verb: verb, Channel: channel, Credential: p.Credential(), Lacking: p.nameOf(list)}
}

// nameOf says where list is found.
func (p *Principal) nameOf(list Verb) string {
	switch p.Credential() {
	case Token:
		return fmt.Sprintf("the claim comet.%s of your token", list)
	case Key:
		return fmt.Sprintf("what the key %q may %s", p.Key, list)
	}
	return fmt.Sprintf("the setting auth.anonymous.%s", list)
}
