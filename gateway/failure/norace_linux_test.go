//go:build !race

package failure

var buildFlags []string
