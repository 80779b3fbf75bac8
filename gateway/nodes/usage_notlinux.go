//go:build !linux

package nodes

// resident is not known.
func resident() int64 { return 0 }
