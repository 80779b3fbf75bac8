//go:build !linux

package cluster

// resident is not known.
func resident() int64 { return 0 }
