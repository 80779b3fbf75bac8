package gateway

import (
	"net/http"

	"comet/gateway/hook"
	"comet/pubsub"
)

// published is the answer to a publish.
type published struct {
	ID        string `json:"id,omitempty"` // absent if ephemeral
	Channel   string `json:"channel"`
	Duplicate bool   `json:"duplicate"`
}

// keyOwner returns the owner of an idempotency key in the request. Anonymous
// clients share their keys.
func (rc *requestContext) keyOwner() string {
	switch {
	case rc.User != "":
		return "user:" + rc.User
	case rc.Key != "":
		return "key:" + rc.Key
	}
	return ""
}

// postMessage: POST /v1/channels/{channel}/messages
func postMessage(g *Gateway, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
	draft, err := parseMessage(w, r, rc)
	if err == nil {
		err = g.admission.AskHook(r.Context(), &rc.Caller, hook.Publish, draft.Channel)
	}
	if err == nil {
		err = rc.policy.Limiter.Publish(rc.Client, 1)
	}
	if err != nil {
		g.publishesRefused.Add(1)
		return err
	}
	draft.Trace, draft.Owner, draft.From = rc.spanParent(), rc.keyOwner(), rc.senderIn(draft.Channel)
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

// parseMessage reads the message that r publishes, if its client may publish on
// the channel.
func parseMessage(w http.ResponseWriter, r *http.Request, rc *requestContext) (d pubsub.Draft, err error) {
	if d.Channel, err = pathChannel(r); err == nil {
		err = pubsub.ValidateChannel(d.Channel)
	}
	if err != nil {
		return d, err
	}
	if err := rc.MayPublish(d.Channel); err != nil {
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
	if d.Tags, err = tagsOf(r, p); err != nil {
		return d, err
	}
	media, err := bodyType(r)
	if err != nil {
		return d, err
	}
	body, err := readBody(w, r, rc.policy.Limits.Message, "message", "limits.message")
	if err != nil {
		return d, err
	}
	if d.Data, err = dataOf(body, media); err != nil {
		return d, err
	}
	return d, d.Validate()
}
