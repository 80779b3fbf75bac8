// Package test checks the manifests without a cluster: each is decoded as
// Kubernetes does, held to rules, and tried with the real binary and Redis.
package test
