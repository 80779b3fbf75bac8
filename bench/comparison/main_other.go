//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "comparison: the load generator and /proc need Linux")
	os.Exit(1)
}
