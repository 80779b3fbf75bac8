// Missing prints the Debian packages that `make test-all` needs and that are not
// installed, on one line.
package main

import (
	"fmt"
	"strings"

	"comet/internal/testenv"
)

func main() { fmt.Println(strings.Join(testenv.Missing(), " ")) }
