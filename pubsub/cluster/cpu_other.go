//go:build !unix

package cluster

import "time"

// cpuTime is not known.
func cpuTime() time.Duration { return 0 }
