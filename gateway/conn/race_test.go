//go:build race

package conn

// underRace makes the largest tests smaller: the detector costs ten times the CPU.
const underRace = true
