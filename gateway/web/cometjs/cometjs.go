// Package cometjs is the JavaScript client: its modules in src, and comet.js,
// which is made of them, served by every node and published as an npm package.
package cometjs

//go:generate go run -C bundle .
