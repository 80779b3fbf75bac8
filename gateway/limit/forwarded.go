package limit

import "strings"

// forwardedNodes returns the `for` of each element in a line of Forwarded, or "" for
// an element without one. ok is false if the line does not follow RFC 7239 section 4.
func forwardedNodes(line string) (nodes []string, ok bool) {
	s := scanner{line}
	for {
		node, empty, whole := s.element()
		if !empty {
			nodes = append(nodes, node)
		}
		switch {
		case !whole:
			return nil, false
		case s.rest == "":
			return nodes, true
		case !s.next(','):
			return nil, false
		}
	}
}

// scanner reads from the beginning of rest.
type scanner struct{ rest string }

// element reads pairs separated by semicolons, with at most one `for`. empty reports
// that there are no pairs.
func (s *scanner) element() (node string, empty, ok bool) {
	empty = true
	named := false
	for {
		s.space()
		if name := s.token(); name != "" {
			empty = false
			value, ok := s.value()
			if !ok {
				return "", empty, false
			}
			if strings.EqualFold(name, "for") {
				if named {
					return "", empty, false
				}
				node, named = value, true
			}
		}
		s.space()
		if !s.next(';') {
			return node, empty, true
		}
	}
}

// value reads `=` and a token or quoted string.
func (s *scanner) value() (value string, ok bool) {
	if !s.next('=') {
		return "", false
	}
	if s.next('"') {
		return s.quoted()
	}
	value = s.token()
	return value, value != ""
}

// quoted reads up to the closing quote; a backslash hides one (RFC 9110 section
// 5.6.4).
func (s *scanner) quoted() (text string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '"':
			s.rest = s.rest[i+1:]
			return b.String(), true
		case '\\':
			if i++; i == len(s.rest) {
				return "", false
			}
			b.WriteByte(s.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

func (s *scanner) token() string {
	n := 0
	for n < len(s.rest) && isTokenByte(s.rest[n]) {
		n++
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token
}

// isTokenByte is tchar of RFC 9110 section 5.6.2.
func isTokenByte(c byte) bool {
	lower := c | 0x20
	return lower >= 'a' && lower <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

// next reads c, if it is next.
func (s *scanner) next(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}
