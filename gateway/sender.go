package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"comet/pubsub"
)

// senderIn returns the sender of the messages that rc publishes on channel; "" if it has
// none, or if the channel's rule says that messages have none.
func (rc *requestContext) senderIn(channel string) string {
	if !rc.policy.senders(channel) {
		return ""
	}
	return rc.Sender()
}

// skipSelf returns the sender whose messages the request leaves out of its channels, its
// own; "" if it leaves out none.
func (rc *requestContext) skipSelf(p *parameters, channels []string) (string, error) {
	if !p.flag("skip_self") || p.err != nil {
		return "", p.err
	}
	if rc.Sender() == "" {
		return "", problem(invalidParameter, "The parameter skip_self needs a token or a key: messages of anonymous clients have no sender, nor have those of users whose name begins with key:.")
	}
	for _, channel := range channels {
		if rc.senderIn(channel) == "" {
			refused := problem(invalidParameter, "The parameter skip_self cannot work in channel %s: its messages have no sender, by a rule with `from: false` under `channels`.", quoted(channel))
			refused.Channels = []string{channel}
			return "", refused
		}
	}
	return rc.Sender(), nil
}

// tagsHeader has the tags of a message, as name:value with commas between.
const tagsHeader = "Comet-Tags"

// tagsOf returns the tags of the message that r publishes: those of the parameter tag,
// name:value each, and those of the header.
func tagsOf(r *http.Request, p *parameters) (pubsub.Tags, error) {
	query, header := p.Values["tag"], fieldValues(r.Header, tagsHeader)
	if len(query)+len(header) == 0 {
		return pubsub.Tags{}, nil
	}
	pairs := make(map[string]string, len(query)+len(header))
	err := addTags(pairs, "The parameter tag", query)
	if err == nil {
		err = addTags(pairs, "The header "+tagsHeader, header)
	}
	if err != nil {
		return pubsub.Tags{}, err
	}
	from := "The tags of the parameter tag"
	if len(header) > 0 {
		from = "The tags of the header " + tagsHeader
	}
	if len(query) > 0 && len(header) > 0 {
		from += ", with those of the parameter tag,"
	}
	tags, err := pubsub.NewTags(pairs)
	if invalid, ok := errors.AsType[*pubsub.InvalidError](err); ok {
		return tags, problem(invalidParameter, "%s %s.", from, invalid.Message)
	}
	return tags, err
}

// addTags adds texts, name:value each, to pairs.
func addTags(pairs map[string]string, from string, texts []string) error {
	for _, text := range texts {
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return problem(invalidParameter, "%s must be name:value, as in room:42: %s has no colon.", from, quoted(text))
		}
		if _, twice := pairs[name]; twice {
			return problem(invalidParameter, "%s has the name %s twice: a message has one value per name.", from, quoted(name))
		}
		pairs[name] = value
	}
	return nil
}

// quoted is text of a client's, not too long for a sentence.
func quoted(text string) string { return fmt.Sprintf("%.40q", text) }
