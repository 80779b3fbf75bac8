package auth

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"comet/pubsub"
)

// maxUser bounds sub, in bytes: it is kept for each connection.
const maxUser = 255

// Claims is what a token says that matters here. As JSON:
//
//	{"sub": "alice", "iss": "…", "aud": "…" or ["…"], "exp": 1, "nbf": 1, "iat": 1,
//	 "comet": {"subscribe": ["chat/**"], "publish": […], "presence": […], "history": […], "info": {…}}}
//
// Times are seconds since 1970, whole or not. Each may be absent, but sub.
// Other claims are ignored, but not within comet: there a misspelt one would
// change what somebody may do.
type Claims struct {
	Subject   string
	Issuer    string
	Audience  []string
	IssuedAt  time.Time // zero: absent, as are the other times
	NotBefore time.Time
	Expires   time.Time
	Permissions
	Info json.RawMessage // any JSON of at most pubsub.MaxInfoBytes; nil: absent
}

// UnmarshalJSON implements json.Unmarshaler. Its error is an *Error.
//
// Names are looked up as they are written: encoding/json alone would also take
// "Sub" for sub, and an issuer may let users choose other claims.
func (c *Claims) UnmarshalJSON(text []byte) error {
	var all map[string]json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		return refuse(Malformed, "The claims of the token are no JSON object: get one from a library for JWT, or from `comet token create`.")
	}
	d := decoder{}
	d.text(all, "sub", &c.Subject)
	d.text(all, "iss", &c.Issuer)
	d.audience(all, &c.Audience)
	d.time(all, "iat", &c.IssuedAt)
	d.time(all, "nbf", &c.NotBefore)
	d.time(all, "exp", &c.Expires)
	d.comet(all, c)
	return d.result()
}

// MarshalJSON implements json.Marshaler. Parts of seconds are left out.
func (c *Claims) MarshalJSON() ([]byte, error) {
	all := map[string]any{"sub": c.Subject}
	if c.Issuer != "" {
		all["iss"] = c.Issuer
	}
	if len(c.Audience) == 1 {
		all["aud"] = c.Audience[0]
	} else if len(c.Audience) > 1 {
		all["aud"] = c.Audience
	}
	for name, at := range map[string]time.Time{"iat": c.IssuedAt, "nbf": c.NotBefore, "exp": c.Expires} {
		if !at.IsZero() {
			all[name] = at.Unix()
		}
	}
	comet := map[string]any{}
	for _, list := range c.lists() {
		if *list.patterns != nil {
			comet[string(list.verb)] = list.patterns.Strings()
		}
	}
	if c.Info != nil {
		comet["info"] = c.Info
	}
	if len(comet) > 0 {
		all["comet"] = comet
	}
	return json.Marshal(all)
}

// list is one of the lists of patterns in Permissions.
type list struct {
	verb     Verb
	patterns *Patterns
}

func (p *Permissions) lists() []list {
	return []list{{Subscribe, &p.Subscribe}, {Publish, &p.Publish}, {Presence, &p.Presence}, {History, &p.History}}
}

// decoder takes claims one by one and keeps the first mistake.
type decoder struct{ err *Error }

func (d *decoder) result() error {
	if d.err == nil {
		return nil // not a nil *Error, which would be an error
	}
	return d.err
}

func (d *decoder) fail(claim, must string) {
	if d.err == nil {
		d.err = refuse(Malformed, "The claim %s of the token %s.", claim, must)
	}
}

// decode reads a claim, if it is there. Its JSON null is a mistake.
func (d *decoder) decode(all map[string]json.RawMessage, claim string, into any, must string) (ok bool) {
	raw, has := all[claim]
	if !has {
		return false
	}
	if string(raw) == "null" || json.Unmarshal(raw, into) != nil {
		d.fail(claim, must)
		return false
	}
	return true
}

func (d *decoder) text(all map[string]json.RawMessage, claim string, into *string) {
	d.decode(all, claim, into, "must be a string")
}

func (d *decoder) audience(all map[string]json.RawMessage, into *[]string) {
	var one string
	if json.Unmarshal(all["aud"], &one) == nil && string(all["aud"]) != "null" {
		*into = []string{one}
		return
	}
	d.decode(all, "aud", into, "must be a string or a list of strings")
}

// latest is the end of the year 9999: beyond it times cannot be written.
var latest = float64(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix())

func (d *decoder) time(all map[string]json.RawMessage, claim string, into *time.Time) {
	const must = "must be a number of seconds since 1970, not later than the year 9999"
	var seconds float64
	if !d.decode(all, claim, &seconds, must) {
		return
	}
	if seconds < 0 || seconds > latest {
		d.fail(claim, must)
		return
	}
	whole, part := math.Modf(seconds)
	*into = time.Unix(int64(whole), int64(part*1e9))
}

func (d *decoder) comet(all map[string]json.RawMessage, c *Claims) {
	var comet map[string]json.RawMessage
	if !d.decode(all, "comet", &comet, "must be an object, as in {\"subscribe\": [\"chat/**\"]}") {
		return
	}
	for _, list := range c.lists() {
		d.patterns(comet, list)
		delete(comet, string(list.verb))
	}
	d.info(comet, c)
	delete(comet, "info")
	if len(comet) > 0 {
		d.fail("comet", "has a member that means nothing: only subscribe, publish, presence, history and info do")
	}
}

// info reads what others are shown of the user: without line ends, which would
// end a line of a stream.
func (d *decoder) info(comet map[string]json.RawMessage, c *Claims) {
	raw, has := comet["info"]
	if !has || string(raw) == "null" {
		return
	}
	info, err := pubsub.CompactJSON(raw)
	if err != nil || len(info) > pubsub.MaxInfoBytes {
		d.fail("comet.info", fmt.Sprintf("must be at most %d bytes of JSON in UTF-8", pubsub.MaxInfoBytes))
		return
	}
	c.Info = info
}

func (d *decoder) patterns(comet map[string]json.RawMessage, list list) {
	claim := "comet." + string(list.verb)
	var texts []*string // a null in the list would be an empty string else
	const must = "must be a list of strings, each a channel or a pattern, as in [\"chat/**\"]"
	raw, has := comet[string(list.verb)]
	if !has {
		return
	}
	if string(raw) == "null" || json.Unmarshal(raw, &texts) != nil || slices.Contains(texts, nil) {
		d.fail(claim, must)
		return
	}
	patterns := make(Patterns, len(texts))
	for i, text := range texts {
		p, err := ParsePattern(*text)
		if err != nil {
			d.fail(claim, fmt.Sprintf("has a mistake: item %d %v", i+1, err))
		}
		patterns[i] = p
	}
	*list.patterns = patterns
}

// check judges what does not depend on settings or time.
func (c *Claims) check() error {
	switch {
	case c.Subject == "":
		return refuse(Malformed, "The token has no claim sub: it must name the user.")
	case len(c.Subject) > maxUser || !utf8.ValidString(c.Subject) || strings.ContainsFunc(c.Subject, unicode.IsControl):
		return refuse(Malformed, "The claim sub of the token must be at most %d bytes of UTF-8 without control characters.", maxUser)
	}
	return nil
}
