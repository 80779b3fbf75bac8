package bench

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestParseMetrics(t *testing.T) {
	const both = "process_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 2.5e+07\n"
	for _, test := range []struct {
		text string
		want usage
		ok   bool
	}{
		{"# HELP process_cpu_seconds_total x\n" + both, usage{1500 * time.Millisecond, 25_000_000}, true},
		{`process_cpu_seconds_total{job="a b",x="}"} 1 1700000000` + "\n" + both, usage{2500 * time.Millisecond, 25_000_000}, true},
		{"process_cpu_seconds_total_more 7\n" + both, usage{1500 * time.Millisecond, 25_000_000}, true},
		{"process_cpu_seconds_total 1.5\n", usage{}, false},
		{"process_cpu_seconds_total NaN\n", usage{}, false},
		{"", usage{}, false},
	} {
		u, err := parseMetrics(strings.NewReader(test.text))
		if (err == nil) != test.ok || u != test.want {
			t.Errorf("%q: %+v, %v", test.text, u, err)
		}
	}
}

func FuzzParseMetrics(f *testing.F) {
	f.Add("process_cpu_seconds_total 1.5\nprocess_resident_memory_bytes{a=\"b\"} 2.5e+07\n")
	f.Fuzz(func(t *testing.T, text string) {
		if u, err := parseMetrics(strings.NewReader(text)); err == nil && (u.cpu < 0 || u.memory < 0) && strings.Count(text, "\n") < 8 {
			t.Errorf("%q: %+v", text, u)
		}
	})
}

func TestMeterScrapes(t *testing.T) {
	answer := "process_cpu_seconds_total 1\nprocess_resident_memory_bytes 1000\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
	defer server.Close()
	m, err := newMeter(t.Context(), &Plan{MetricsURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	if got := m.read(t.Context()).server; got != (usage{time.Second, 1000}) || !m.charges() {
		t.Errorf("read %+v", got)
	}
	answer = "gone"
	if got := m.readExactly(t.Context()).server; got != (usage{time.Second, 1000}) {
		t.Errorf("read %+v of a server that says nothing, want what it said last", got)
	}
	if _, err := newMeter(t.Context(), &Plan{MetricsURL: server.URL}); !contains(err, "process_cpu_seconds_total or process_resident_memory_bytes is missing") {
		t.Errorf("error %v", err)
	}
}
