package bayeux

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
)

// handshake begins a session.
func (e *exchange) handshake(m message, r *reply) error {
	r.handshake = true
	if err := checkHandshake(m); err != nil {
		return err
	}
	token := m.token()
	caller, err := e.authenticate(token)
	if err != nil {
		return err
	}
	st := &state{owner: ownerOf(caller.Principal), acks: wantsAcks(m)}
	if token != "" && caller.User != "" {
		st.token = token
	}
	clientID := rand.Text()
	if err := e.server.store(e.r.Context(), clientID, &state{}, st); err != nil {
		return err
	}
	r.clientID, r.acks, r.advice = clientID, st.acks, &advice{reconnect: "retry"}
	return nil
}

// wantsAcks reports whether the client acknowledges batches: ext.ack is true or, as newer
// clients may send it, an object with enabled.
func wantsAcks(m message) bool {
	ext := m.object("ext")
	return string(ext["ack"]) == "true" || string(ext.object("ack")["enabled"]) == "true"
}

// checkHandshake returns a fault if the client and this server have no version, or no
// connection type in common.
func checkHandshake(m message) error {
	version, ok := m.text("version")
	if !ok || !validVersion(version) {
		return &fault{code: 400, text: "version is missing or malformed: send 1.0"}
	}
	minimum := version
	if m["minimumVersion"] != nil {
		if minimum, ok = m.text("minimumVersion"); !ok || !validVersion(minimum) {
			return &fault{code: 400, text: "minimumVersion is malformed: send 1.0"}
		}
	}
	if majorOf(version) < 1 || majorOf(minimum) > 1 {
		return &fault{code: 400, arguments: version, text: "version not supported: this server has 1.0"}
	}
	var types []string
	if raw := m["supportedConnectionTypes"]; raw != nil && raw[0] == '[' {
		types, ok = m.texts("supportedConnectionTypes")
	} else {
		ok = false
	}
	if !ok {
		return &fault{code: 400, text: "supportedConnectionTypes is missing or not an array of strings"}
	}
	if !slices.ContainsFunc(types, validConnectionType) {
		return &fault{code: 400, arguments: strings.Join(types, ","), text: "no connection type in common: this server has long-polling and callback-polling"}
	}
	return nil
}

func validConnectionType(name string) bool {
	return name == "long-polling" || name == "callback-polling"
}

// validVersion reports whether version is a number and, after dots, elements that begin
// with a letter or digit.
func validVersion(version string) bool {
	for i, element := range strings.Split(version, ".") {
		valid := func(r rune) bool { return r >= '0' && r <= '9' || i > 0 && (alphanum(r) || r == '-' || r == '_') }
		if element == "" || !alphanum(rune(element[0])) || strings.ContainsFunc(element, func(r rune) bool { return !valid(r) }) {
			return false
		}
	}
	return true
}

// majorOf is the first element of a valid version.
func majorOf(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 1 << 30 // it has too many digits
	}
	return n
}
