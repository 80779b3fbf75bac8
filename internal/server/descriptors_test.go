package server

import "testing"

// Clients never get all descriptors, and never none.
func TestShareDescriptors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ limit, cores, clients, admin int }{
		{64, 2, 16, 12},
		{200, 2, 50, 37},
		{256, 2, 64, 48},
		{1024, 2, 780, 61},
		{1024, 64, 256, 64},
		{20_000, 16, 19_000, 64}, // a Redis Cluster of ten primaries has 800 connections
		{1 << 20, 16, 1<<20 - 1<<20/20, 64},
	} {
		if got := shareDescriptors(test.limit, test.cores); got.clients != test.clients || got.admin != test.admin {
			t.Errorf("of %d descriptors with %d cores: %+v, want %+v", test.limit, test.cores, got, test)
		}
	}
}
