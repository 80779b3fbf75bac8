// Package clienttest runs the clients that people already have, unmodified,
// against two nodes on a real Redis whose connections are cut, and writes the
// table of them in docs/clients.md. It runs the htmx recipes too. All of it is
// tests, and large: `make test-clients`.
//
// package.json and goclients/go.mod say which versions.
package clienttest
