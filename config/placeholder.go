package config

import "strings"

// placeholder stands in the manifests for what only their user can know. A node
// that took it for a value would have a secret that everyone can read.
const placeholder = "REPLACE-ME"

const stillPlaceholder = "still has the placeholder " + placeholder + ": write the real value in its place"

// isPlaceholder reports whether a value was never filled in: also a part of it,
// as in backend:REPLACE-ME.
func isPlaceholder(raw any) bool { return strings.Contains(textOf(raw), placeholder) }
