// Package house has no code, only tests that hold the whole tree to its rules.
package house
