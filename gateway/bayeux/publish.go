package bayeux

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"

	"comet/gateway/admit"
	"comet/gateway/hook"
	"comet/pubsub"
)

// publish checks a message, and adds it to those that are published together.
func (e *exchange) publish(m message, r *reply) error {
	name := r.channel
	if _, _, glob := cutGlob(name); glob || !validName(name) {
		return &fault{code: 400, arguments: name, text: "invalid channel name: publish to one channel"}
	}
	clientID, _, caller, err := e.session(e.r.Context(), m)
	if err != nil {
		return err
	}
	if m["data"] == nil {
		return &fault{code: 400, arguments: name, text: "data is missing"}
	}
	limits := e.server.options.Limits()
	if len(m["data"]) > limits.Message {
		return &fault{code: 413, arguments: name, text: "data may have " + strconv.Itoa(limits.Message) + " bytes at most (limits.message)"}
	}
	data, err := pubsub.CompactJSON(m["data"])
	if err != nil {
		return &fault{code: 400, arguments: name, text: err.Error()}
	}
	if isService(name) {
		return e.service(m, r, caller, data)
	}
	d := pubsub.Draft{Channel: e.server.channelOf(name), Data: data}
	if err := d.Validate(); err != nil {
		return err
	}
	if err := caller.MayPublish(d.Channel); err != nil {
		return err
	}
	if err := e.server.options.Admission.AskHook(e.r.Context(), caller, hook.Publish, d.Channel); err != nil {
		return err
	}
	if err := caller.Rules.Limiter.Publish(caller.Client, 1); err != nil {
		return err
	}
	if e.server.options.Senders(d.Channel) {
		d.From = caller.Sender()
	}
	if r.id != nil {
		d.Key, d.Owner = messageKey(r.id, data), "bayeux:"+clientID
	}
	e.drafts, e.of = append(e.drafts, d), append(e.of, r)
	return nil
}

// messageKey is the idempotency key of a message. Faye sends a message again, with the
// same ID, when it got no answer. IDs need not be unique otherwise, so the data counts
// too.
func messageKey(id, data []byte) string {
	sum := sha256.New()
	sum.Write(id)
	sum.Write(data)
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:24])
}

// publishDrafts publishes the messages collected so far.
func (e *exchange) publishDrafts() {
	if len(e.drafts) == 0 {
		return
	}
	end := e.beginSpan()
	receipts := e.server.options.Hub.Publish(e.r.Context(), e.drafts)
	end(e.drafts, receipts)
	for i, receipt := range receipts {
		if receipt.Err != nil {
			e.of[i].err = e.server.fault(receipt.Err, e.of[i].channel)
		}
	}
	e.drafts, e.of = nil, nil
}

// beginSpan begins the span of the messages collected so far.
func (e *exchange) beginSpan() (end func([]pubsub.Draft, []pubsub.Receipt)) {
	if e.server.options.Span == nil {
		return func([]pubsub.Draft, []pubsub.Receipt) {}
	}
	carry, end := e.server.options.Span(e.r.Context())
	for i := range e.drafts {
		e.drafts[i].Trace = carry
	}
	return end
}

// service asks the application about a message on a service channel.
func (e *exchange) service(m message, r *reply, caller *admit.Caller, data []byte) error {
	if err := caller.Rules.Limiter.Publish(caller.Client, 1); err != nil {
		return err
	}
	back, err := e.server.options.Admission.AskService(e.r.Context(), caller, r.channel, data)
	switch {
	case errors.Is(err, admit.ErrNoHook):
		return &fault{code: 404, arguments: r.channel, text: "service messages go to the application and no hook is configured, see auth.hook.url"}
	case err != nil || back == nil:
		return err
	}
	if back, err = pubsub.CompactJSON(back); err != nil {
		return err
	}
	r.events = append(append(appendString([]byte(`{"channel":`), r.channel), `,"data":`...), back...)
	if r.id != nil {
		r.events = append(append(r.events, `,"id":`...), r.id...)
	}
	r.events = append(r.events, '}')
	return nil
}
