package gateway

import "comet/pubsub"

// Connections is how many streams and polls there are.
func (g *Gateway) Connections() int64 { return g.admission.Connections() }

// Hub is the hub it was made with.
func (g *Gateway) Hub() *pubsub.Hub { return g.options.Hub }
