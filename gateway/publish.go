package gateway

import (
	"errors"
	"net/http"
	"strings"

	"comet/gateway/hook"
	"comet/pubsub"
)

// published is the answer to a publish.
type published struct {
	ID        string `json:"id,omitempty"` // none if ephemeral
	Channel   string `json:"channel"`
	Duplicate bool   `json:"duplicate"`
}

// keyOwner returns whose an idempotency key is that comes with the request. All
// who are anonymous share theirs.
func (rc *requestContext) keyOwner() string {
	switch {
	case rc.User != "":
		return "user:" + rc.User
	case rc.Key != "":
		return "key:" + rc.Key
	}
	return ""
}

// publish: POST /v1/channels/{channel}/messages
func (g *Gateway) publish(w http.ResponseWriter, r *http.Request) error {
	draft, err := g.draftOf(w, r)
	if err != nil {
		g.publishesRefused.Add(1)
		return err
	}
	rc := contextOf(r)
	draft.Trace, draft.Owner = rc.spanParent(), rc.keyOwner()
	receipt := g.options.Hub.Publish(r.Context(), []pubsub.Draft{draft})[0]
	outcome := "published"
	if receipt.Duplicate {
		outcome = "duplicate"
	}
	rc.span.record(draft.Channel, outcome, draft)
	if receipt.Err != nil {
		return receipt.Err
	}
	answerJSON(w, http.StatusCreated, "application/json", answerTo(&draft, &receipt))
	return nil
}

func answerTo(d *pubsub.Draft, receipt *pubsub.Receipt) published {
	p := published{Channel: d.Channel, Duplicate: receipt.Duplicate}
	if !receipt.ID.IsZero() {
		p.ID = receipt.ID.String()
	}
	return p
}

// draftOf is the message that r wants published, if it may be.
func (g *Gateway) draftOf(w http.ResponseWriter, r *http.Request) (pubsub.Draft, error) {
	draft, err := g.bodyDraft(w, r)
	rc := contextOf(r)
	if err == nil {
		err = g.admission.AskHook(r.Context(), &rc.Caller, hook.Publish, draft.Channel)
	}
	if err == nil {
		err = rc.policy.Limiter.Publish(rc.Client, 1)
	}
	return draft, err
}

// bodyDraft is what r says that it wants published.
func (g *Gateway) bodyDraft(w http.ResponseWriter, r *http.Request) (d pubsub.Draft, err error) {
	if d.Channel, err = pathChannel(r); err != nil {
		return d, err
	}
	if err := contextOf(r).MayPublish(d.Channel); err != nil {
		return d, err
	}
	p, err := parametersOf(r)
	if err != nil {
		return d, err
	}
	d.Type, d.Key, d.Ephemeral = p.Get("type"), r.Header.Get("Idempotency-Key"), p.flag("ephemeral")
	if p.err != nil {
		return d, p.err
	}
	media, err := bodyType(r)
	if err != nil {
		return d, err
	}
	body, err := readBody(w, r, contextOf(r).policy.Limits.Message, "message", "limits.message")
	if err != nil {
		return d, err
	}
	if d.Data, err = dataOf(body, media); err != nil {
		return d, err
	}
	return d, d.Validate()
}

// dataOf is a body of a media type as a message's data. JSON is what says it is;
// text/plain is a string whatever it holds; anything else, as curl -d sends it,
// is JSON if it can be, and else a string.
func dataOf(body []byte, media string) ([]byte, error) {
	mustBeJSON := media == "application/json" || strings.HasSuffix(media, "+json")
	if media != "text/plain" {
		data, err := pubsub.CompactJSON(body)
		if err == nil || mustBeJSON {
			return data, bodyError(err)
		}
	}
	data, err := pubsub.TextData(string(body))
	return data, bodyError(err)
}

func bodyError(err error) error {
	switch {
	case errors.Is(err, pubsub.ErrNotJSON):
		return problem(invalidBody, "The body is not one valid JSON value: mend it, or send text as text/plain.")
	case errors.Is(err, pubsub.ErrTooDeep):
		return problem(invalidBody, "The body is JSON nested more than %d deep: make it flatter.", pubsub.MaxDepth)
	case errors.Is(err, pubsub.ErrNotText):
		return problem(invalidBody, "The body is not UTF-8: encode binary data, for example as base64.")
	}
	return err
}
