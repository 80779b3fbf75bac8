//go:build !linux

package server

import "net"

// listenConfig has the defaults of package net.
var listenConfig net.ListenConfig
