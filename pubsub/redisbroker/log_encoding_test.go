package redisbroker

import (
	"reflect"
	"strings"
	"testing"

	"comet/pubsub"
)

// Payloads without a trace are no longer than before traces existed.
func TestEncodeEphemeral(t *testing.T) {
	first := func(payload, old []byte) string {
		if old != nil {
			t.Errorf("a second payload %q", old)
		}
		return string(payload)
	}
	plain := first(encodeEphemeral(&pubsub.Draft{Type: "typing", Data: []byte(`"x"`)}))
	if !strings.HasPrefix(plain, "- ") || !strings.HasSuffix(plain, " typing\n\"x\"") {
		t.Errorf("encoded %q", plain)
	}
	traced := first(encodeEphemeral(&pubsub.Draft{Type: "typing", Data: []byte(`"x"`), Trace: "00-a"}))
	if !strings.HasPrefix(traced, "~ 00-a - ") {
		t.Errorf("encoded %q", traced)
	}
	m, err := decodeRelayed("c", traced)
	if err != nil || m.Trace != "00-a" || m.Type != "typing" || string(m.Data) != `"x"` || !m.Ephemeral() {
		t.Errorf("decoded %+v, %v", m, err)
	}
}

// A trace changes nothing else of the decoded message. Any input decodes or returns an
// error.
func FuzzDecodeRelayed(f *testing.F) {
	for _, seed := range []string{"1-1048577 0-0 message\n1", "- 5 message\n1", "! 1-1048577 1-1048577", "~ 00-a 1-1 0-0 m\n1", "~ ", "",
		"~ v2:7 5-2 5-1 m\n[\"4-1\",\"\",{\"v\":2},1]", "~ v2:7 + 5 m\n[\"\",\"\",{\"v\":2},1]", "~ v1: - 5 m\n1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		m, err := decodeRelayed("c", payload)
		if strings.HasPrefix(payload, "~ ") {
			return
		}
		traced, err2 := decodeRelayed("c", "~ 00-a "+payload)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %v, and with a trace: %v", payload, err, err2)
		}
		if err != nil {
			return
		}
		if traced.Trace != "00-a" || m.Trace != "" {
			t.Errorf("%q: traces %q and %q", payload, m.Trace, traced.Trace)
		}
		if traced.Trace = ""; !reflect.DeepEqual(m, traced) {
			t.Errorf("%q: %+v, and with a trace %+v", payload, m, traced)
		}
	})
}
