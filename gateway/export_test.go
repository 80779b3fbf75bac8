package gateway

// Connections is how many streams and polls there are.
func (g *Gateway) Connections() int64 { return g.connections.Load() }
