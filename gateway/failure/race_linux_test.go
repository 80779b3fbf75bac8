//go:build race

package failure

// buildFlags make the nodes like the test.
var buildFlags = []string{"-race"}
