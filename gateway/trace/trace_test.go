package trace

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

const sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text        string
		ok, sampled bool
	}{
		{sampled, true, true},
		{strings.TrimSuffix(sampled, "1") + "0", true, false},
		{strings.TrimSuffix(sampled, "01") + "ff", true, true},
		{"01" + sampled[2:], true, true},
		{"01" + sampled[2:] + "-what-comes", true, true},
		{"01" + sampled[2:] + "x", false, false},
		{sampled + "-what-comes", false, false},
		{"ff" + sampled[2:], false, false},
		{strings.ToUpper(sampled), false, false},
		{sampled[:54], false, false},
		{"", false, false},
		{strings.ReplaceAll(sampled, "-", "_"), false, false},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false, false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false, false},
		{"0g" + sampled[2:], false, false},
	} {
		p, ok := Parse(test.text)
		if ok != test.ok || p.Sampled != test.sampled {
			t.Errorf("%q: %v, sampled %v", test.text, ok, p.Sampled)
		}
		if ok && p.Trace.String() != sampled[3:35] {
			t.Errorf("%q: trace %v", test.text, p.Trace)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{sampled, "01" + sampled[2:] + "-x", "", strings.Repeat("0", 55)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := Parse(text)
		if !ok {
			return
		}
		if again, ok := Parse(p.String()); !ok || again != p {
			t.Errorf("%q: printed %q, which is %+v", text, p, again)
		}
		if strings.HasPrefix(text, "00") && p.String()[:53] != text[:53] {
			t.Errorf("%q is printed %q", text, p)
		}
	})
}

func TestOf(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxRequestID)
	for _, test := range []struct {
		name   string
		header http.Header
		trace  string // empty: a new one
		id     string
	}{
		{"none", http.Header{}, "", ""},
		{"both", http.Header{ParentField: {sampled}, RequestIDField: {"order-17"}}, sampled[3:35], "order-17"},
		{"malformed", http.Header{ParentField: {"00-1"}, RequestIDField: {"a b"}}, "", ""},
		{"several", http.Header{ParentField: {sampled, sampled}, RequestIDField: {"a", "b"}}, "", ""},
		{"long", http.Header{RequestIDField: {long}}, "", long},
		{"too long", http.Header{RequestIDField: {long + "x"}}, "", ""},
		{"control characters", http.Header{RequestIDField: {"a\nb"}}, "", ""},
		{"not ASCII", http.Header{RequestIDField: {"é"}}, "", ""},
	} {
		r, other := Of(test.header), Of(test.header)
		if r.ID != test.id {
			t.Errorf("%s: request ID %q", test.name, r.ID)
		}
		switch {
		case test.trace != "" && r.Trace.String() != test.trace:
			t.Errorf("%s: trace %v", test.name, r.Trace)
		case test.trace == "" && (r.Trace == ID{} || r.Trace == other.Trace || r.Span != SpanID{}):
			t.Errorf("%s: not a new trace: %+v, %+v", test.name, r, other)
		}
	}
}

// Every line of a request names it, whatever the logger was made of.
func TestHandler(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	logger := slog.New(Handler(slog.NewTextHandler(&text, nil))).With("node", "a")
	r := Of(http.Header{ParentField: {sampled}, RequestIDField: {"order-17"}})
	logger.InfoContext(NewContext(t.Context(), &r), "heard")
	if want := " msg=heard node=a trace_id=" + sampled[3:35] + " request_id=order-17\n"; !strings.HasSuffix(text.String(), want) {
		t.Errorf("logged %q", text.String())
	}
	text.Reset()
	logger.InfoContext(t.Context(), "heard")
	if strings.Contains(text.String(), "trace_id") {
		t.Errorf("without a request: %q", text.String())
	}
}
