//go:build !linux

package main

import "os/exec"

// setApart is for Linux, as the load test is.
func setApart(*exec.Cmd) {}
