//go:build !unix

package nodes

import "time"

// cpuTime is not known.
func cpuTime() time.Duration { return 0 }
