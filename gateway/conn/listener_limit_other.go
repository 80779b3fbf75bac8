//go:build !unix

package conn

import "math"

// DescriptorLimit is how many descriptors this process may have open: there is no limit
// on this system.
func DescriptorLimit() int { return math.MaxInt32 }
