package gateway

import (
	"net/http"

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
