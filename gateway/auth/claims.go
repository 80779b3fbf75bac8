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

// maxUser bounds sub in bytes. Each connection keeps it.
const maxUser = 255

// Claims are the claims of a token that Comet uses. As JSON:
//
//	{"sub": "alice", "iss": "…", "aud": "…" or ["…"], "exp": 1, "nbf": 1, "iat": 1,
//	 "comet": {"subscribe": ["chat/**"], "publish": […], "presence": […], "history": […], "info": {…}}}
//
// Times are seconds since 1970, with or without a fraction. Only sub is required.
// Other claims are ignored. Other members of comet are errors: a misspelt one would
// change permissions.
type Claims struct {
	Subject   string
	Issuer    string
	Audience  []string
	IssuedAt  time.Time // zero: absent, as for the other times
	NotBefore time.Time
	Expires   time.Time
	Permissions
	Info json.RawMessage // any JSON of at most pubsub.MaxInfoBytes; nil: absent
}

// UnmarshalJSON implements json.Unmarshaler. Its error is an *Error.
//
// Names are case-sensitive, unlike in encoding/json: an issuer may let users choose
// a claim "Sub".
func (c *Claims) UnmarshalJSON(text []byte) error {
	var all map[string]json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		return refuse(Malformed, "The claims of the token are not a JSON object: create tokens with a JWT library or with `comet token create`.")
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

// MarshalJSON implements json.Marshaler. It truncates times to seconds.
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

// list is a list of patterns in Permissions.
type list struct {
	verb     Verb
	patterns *Patterns
}

func (p *Permissions) lists() []list {
	return []list{{Subscribe, &p.Subscribe}, {Publish, &p.Publish}, {Presence, &p.Presence}, {History, &p.History}}
}

// decoder decodes claims one by one and keeps the first error.
type decoder struct{ err *Error }

func (d *decoder) result() error {
	if d.err == nil {
		return nil // a nil *Error is a non-nil error
	}
	return d.err
}

func (d *decoder) fail(claim, must string) {
	if d.err == nil {
		d.err = refuse(Malformed, "The claim %s of the token %s.", claim, must)
	}
}

// decode reads a claim, if it is present. null is an error.
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

// latest is the end of the year 9999, the last one that can be formatted.
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
		d.fail("comet", "has an unknown member: only subscribe, publish, presence, history and info are allowed")
	}
}

// info reads the public information about the user, without line breaks: they would
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
	var texts []*string // to detect null, which is an empty string otherwise
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
			d.fail(claim, fmt.Sprintf("is invalid: item %d %v", i+1, err))
		}
		patterns[i] = p
	}
	*list.patterns = patterns
}

// check validates what does not depend on settings or time.
func (c *Claims) check() error {
	switch {
	case c.Subject == "":
		return refuse(Malformed, "The token has no claim sub: it must name the user.")
	case len(c.Subject) > maxUser || !utf8.ValidString(c.Subject) || strings.ContainsFunc(c.Subject, unicode.IsControl):
		return refuse(Malformed, "The claim sub of the token must be at most %d bytes of UTF-8 without control characters.", maxUser)
	}
	return nil
}
