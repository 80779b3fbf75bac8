// Package bayeux serves the Bayeux protocol 1.0, that CometD and Faye clients speak, over
// the channels of a pubsub.Hub. docs/bayeux.md describes it for clients.
//
// A client has a session: a pubsub.Record with its subscriptions, and for each of them
// a cursor up to which the client has acknowledged, and one up to which the last answer
// went. No node keeps anything that matters, so every request may go to any node. A
// change of the record applies to one version of it, so that of two nodes that change
// the same session at the same time, one starts again with what the other has stored.
//
//	request.go     messages in a request: JSON, form or JSONP
//	message.go     fields of a message, and replies
//	name.go        channel names
//	pattern.go     the logs of channels and patterns
//	exchange.go    the messages of one request, one after the other
//	handshake.go   /meta/handshake
//	subscribe.go   /meta/subscribe and /meta/unsubscribe
//	publish.go     messages on other channels, also of services
//	session.go     the record of a session
//	connect.go     /meta/connect: acknowledge, and wait
//	follow.go      the next connect on the same connection, without net/http
//	delivery.go    the answer to a connect that waits
//	notice.go      what a node tells the node that holds a connect
package bayeux
