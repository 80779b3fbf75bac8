//go:build !unix

package conn

import "math"

// DescriptorLimit is how many descriptors this process may have open: as many
// as it likes.
func DescriptorLimit() int { return math.MaxInt32 }
