package trace

import "encoding/hex"

// A traceparent is
//
//	<version> - <trace> - <parent> - <flags>
//
// of 2, 32, 16 and 2 lower-case hexadecimal digits. A version above 00 may have
// more after it, after another dash; ff is not a version (section 3.2 of the
// specification).
const (
	parentLength = 55
	sampledFlag  = 1
)

// Parse reads a traceparent. ok is false if text is not one.
func Parse(text string) (p Parent, ok bool) {
	if len(text) < parentLength || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return Parent{}, false
	}
	var version, flags [1]byte
	if !decode(version[:], text[:2]) || !decode(p.Trace[:], text[3:35]) || !decode(p.Span[:], text[36:52]) || !decode(flags[:], text[53:parentLength]) {
		return Parent{}, false
	}
	switch more := text[parentLength:]; {
	case version[0] == 0xff, version[0] == 0 && more != "", more != "" && more[0] != '-':
		return Parent{}, false
	case p.Trace == ID{}, p.Span == SpanID{}:
		return Parent{}, false
	}
	p.Sampled = flags[0]&sampledFlag != 0
	return p, true
}

// decode is hex.Decode for lower case alone.
func decode(to []byte, text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	_, err := hex.Decode(to, []byte(text))
	return err == nil
}

// String is the traceparent, in version 00.
func (p Parent) String() string {
	b := make([]byte, 0, parentLength)
	b = hex.AppendEncode(append(b, "00-"...), p.Trace[:])
	b = hex.AppendEncode(append(b, '-'), p.Span[:])
	if p.Sampled {
		return string(append(b, "-01"...))
	}
	return string(append(b, "-00"...))
}
