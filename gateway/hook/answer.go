package hook

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of an answer.
const (
	// MaxFor is the longest time that an answer is remembered.
	MaxFor = time.Hour
	// maxReason is in bytes.
	maxReason = 256
)

// answer is the decision of the application.
type answer struct {
	allow    bool
	reason   string        // why not; may be empty
	lifetime time.Duration // how long to remember the answer; 0: not at all
	data     string        // the reply to a Service, as JSON; empty: none
}

// parseAnswer reads
//
//	{"allow": true or false, "reason": "…", "for": seconds, "data": any JSON}
//
// Only allow is required, and other members are ignored. A reason that is too long
// or has control characters is dropped.
//
// Names are case-sensitive, unlike in encoding/json: "Allow" may belong to another
// protocol.
func parseAnswer(text []byte) (answer, error) {
	var all map[string]json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		return answer{}, errors.New(`the answer is not a JSON object: answer as in {"allow": true}`)
	}
	var allow *bool
	if json.Unmarshal(orNull(all["allow"]), &allow) != nil || allow == nil {
		return answer{}, errors.New("the member allow of the answer must be true or false")
	}
	var seconds float64
	if json.Unmarshal(orNull(all["for"]), &seconds) != nil || seconds < 0 {
		return answer{}, errors.New("the member for of the answer must be a number of seconds, 0 or more")
	}
	var reason string
	if json.Unmarshal(orNull(all["reason"]), &reason) != nil {
		return answer{}, errors.New("the member reason of the answer must be a string")
	}
	a := answer{allow: *allow, lifetime: time.Duration(min(seconds, MaxFor.Seconds()) * float64(time.Second)), data: string(all["data"])}
	if !a.allow && len(reason) <= maxReason && utf8.ValidString(reason) && !strings.ContainsFunc(reason, unicode.IsControl) {
		a.reason = reason
	}
	return a, nil
}

func orNull(member json.RawMessage) json.RawMessage {
	if member == nil {
		return json.RawMessage("null")
	}
	return member
}
