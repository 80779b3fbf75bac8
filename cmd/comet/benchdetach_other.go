//go:build !linux

package main

import "os/exec"

// setApart does nothing: the load test needs Linux.
func setApart(*exec.Cmd) {}
