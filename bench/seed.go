package bench

import "math"

// choice returns a random number that depends only on seed and about: it is the
// same in every run, with any number of workers.
func choice(seed uint64, about ...uint64) uint64 {
	h := seed
	for _, x := range about {
		h = splitMix(h ^ splitMix(x))
	}
	return h
}

// splitMix is the mixing step of SplitMix64 (https://doi.org/10.1145/2714064.2660195).
func splitMix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// shareOf maps a choice to a number from 0 to below 1.
func shareOf(choice uint64) float64 { return float64(choice>>11) / (math.MaxUint64>>11 + 1) }

// Subjects of choices.
const (
	aboutNode uint64 = iota
	aboutTransport
	aboutChurn
	aboutNextNode
	aboutPause
	aboutBackoff
)
