//go:build !linux

package main

import "os/exec"

// detach does nothing: the load test needs Linux.
func detach(*exec.Cmd) {}
