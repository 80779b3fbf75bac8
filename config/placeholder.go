package config

import "strings"

// placeholder stands in the manifests for a value that only their user knows. It
// must not be a valid secret, as everyone can read it there.
const placeholder = "REPLACE-ME"

const stillPlaceholder = "still has the placeholder " + placeholder + ": write the real value in its place"

// isPlaceholder reports whether a value or a part of it, as in backend:REPLACE-ME,
// was not filled in.
func isPlaceholder(raw any) bool { return strings.Contains(textOf(raw), placeholder) }
