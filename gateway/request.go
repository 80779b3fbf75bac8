package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"comet/pubsub"
)

// pathChannel returns the channel in the path, decoded; it may be invalid.
func pathChannel(r *http.Request) (string, error) {
	channel, err := url.PathUnescape(mux.Vars(r)["channel"])
	if err != nil {
		return "", problem(invalidChannel, "The channel in the path is not percent-encoded as it must be: %v.", err)
	}
	return channel, nil
}

// validChannelOrPattern returns a function that returns nil for a valid channel, or a
// pattern that has index logs.
func validChannelOrPattern(hub *pubsub.Hub) func(name string) error {
	return func(name string) error {
		if pubsub.IsPattern(name) {
			_, err := hub.Pattern(name)
			return err
		}
		return pubsub.ValidateChannel(name)
	}
}

// parameters reads the query of a request and keeps the first mistake in err, so
// that an endpoint checks once.
type parameters struct {
	url.Values
	err error
}

func parametersOf(r *http.Request) (*parameters, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem(invalidParameter, "The query is not what a URL can have: %v.", err)
	}
	return &parameters{Values: values}, nil
}

func (p *parameters) fail(name, format string, args ...any) {
	if p.err == nil {
		e := problem(invalidParameter, format, args...)
		e.Detail = "The parameter " + name + " " + e.Detail
		p.err = e
	}
}

// integer returns the parameter as a number from low to high; absent: def.
func (p *parameters) integer(name string, def, low, high int) int {
	if !p.Has(name) {
		return def
	}
	return p.number(name, p.Get(name), low, high)
}

// number returns one value of a parameter as a number from low to high.
func (p *parameters) number(name, value string, low, high int) int {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		p.fail(name, "must be a number from %d to %d.", low, high)
	}
	return n
}

// apart reports whether the parameter is given for each channel.
func (p *parameters) apart(name string) bool { return len(p.Values[name]) > 1 }

// each returns the values for channels, which are those of the request, sorted and
// distinct. The parameter is given once for all of them, or once for each, in the
// order of the query. If it is absent the values are empty.
func (p *parameters) each(name string, channels []string) []string {
	given := p.Values["channel"]
	values := p.Values[name]
	if !p.apart(name) {
		return slices.Repeat([]string{p.Get(name)}, len(channels))
	}
	if len(values) != len(given) || len(given) != len(channels) {
		p.fail(name, "must be given once, or once for each channel in their order, and then no channel twice: here are %d for %d channels.", len(values), len(given))
		return make([]string, len(channels))
	}
	sorted := make([]string, len(channels))
	for i, channel := range channels {
		sorted[i] = values[slices.Index(given, channel)]
	}
	return sorted
}

// flag returns the parameter as true or false; absent: false; empty: true.
func (p *parameters) flag(name string) bool {
	if !p.Has(name) || p.Get(name) == "" {
		return p.Has(name)
	}
	on, err := strconv.ParseBool(p.Get(name))
	if err != nil {
		p.fail(name, "must be true or false.")
	}
	return on
}

// choice returns the parameter, which must be one of some words; absent: the first.
func (p *parameters) choice(name string, words ...string) string {
	word := p.Get(name)
	if !p.Has(name) {
		return words[0]
	}
	if !slices.Contains(words, word) {
		p.fail(name, "must be one of %q.", words)
	}
	return word
}

// wait returns the parameter as a duration of at most limit, `25s` or just `25`.
func (p *parameters) wait(name string, def, limit time.Duration) time.Duration {
	text := p.Get(name)
	if text == "" {
		return min(def, limit)
	}
	d, err := time.ParseDuration(text)
	if seconds, err2 := strconv.ParseUint(text, 10, 31); err2 == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	switch {
	case err != nil || d < 0:
		p.fail(name, "must be a time, as in 25s.")
	case d > limit:
		p.fail(name, "must be at most %v (limits.wait).", limit)
	}
	return d
}

// id returns the parameter as a message ID; absent: zero.
func (p *parameters) id(name string) pubsub.ID {
	if !p.Has(name) {
		return pubsub.ID{}
	}
	id, err := pubsub.ParseID(p.Get(name))
	if err != nil && p.err == nil {
		p.err = problem(invalidCursor, "The parameter %s is %v.", name, pubsub.ErrBadID)
	}
	return id
}

// fieldValues returns the elements of a header field that is a list, from all its
// lines (RFC 9110 section 5.6.1).
func fieldValues(h http.Header, name string) (values []string) {
	for _, line := range h[name] {
		for value := range strings.SplitSeq(line, ",") {
			if value = strings.Trim(value, " \t"); value != "" {
				values = append(values, value)
			}
		}
	}
	return values
}
