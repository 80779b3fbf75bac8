package server

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"comet/internal/testenv"
	"comet/pubsub/redistest"
)

var monitoring = filepath.Join("..", "..", "docs", "monitoring")

// TestMonitoringRules has Prometheus' own tool check and test the alerts.
func TestMonitoringRules(t *testing.T) {
	t.Parallel()
	promtool := testenv.Program(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts.test.yml"}} {
		command := exec.CommandContext(t.Context(), promtool, args...)
		command.Dir = monitoring
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests := string(readMonitoring(t, "alerts.test.yml"))
	for _, alert := range alerts(t) {
		if !strings.Contains(tests, `alertname="`+alert.Alert+`"`) {
			t.Errorf("nothing shows that %s fires", alert.Alert)
		}
	}
}

func readMonitoring(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(monitoring, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// dashboardExpressions are those of all panels.
func dashboardExpressions(t testing.TB) (all []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(readMonitoring(t, "grafana.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

type alert struct{ Alert, Expr string }

func alerts(t testing.TB) (all []alert) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(readMonitoring(t, "alerts.yml"), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

func alertExpressions(t testing.TB) (all []string) {
	for _, a := range alerts(t) {
		all = append(all, a.Expr)
	}
	return all
}

// selectorsOf are the metrics in an expression, with their labels.
func selectorsOf(expression string) []string {
	return regexp.MustCompile(`\b(?:comet|process|go|up)(?:_\w+)?\b(?:\{[^}]*\})?`).FindAllString(grouping.ReplaceAllString(expression, ""), -1)
}

// grouping has names of labels, which are no metrics: by (version, go).
var grouping = regexp.MustCompile(`\b(?:by|on|without) \([^)]*\)`)

// fromPrometheus are labels that a node does not export, but Prometheus adds.
var fromPrometheus = []string{"job", "instance"}

// has reports whether a selector finds anything.
func (s samples) has(selector string) bool {
	name, labels, _ := strings.Cut(strings.TrimSuffix(selector, "}"), "{")
	if name == "up" {
		return true // Prometheus makes it
	}
	for key := range s {
		found, values, _ := strings.Cut(strings.TrimSuffix(key, "}"), "{")
		if found == name && matchesAll(labels, values) {
			return true
		}
	}
	return false
}

var matcher = regexp.MustCompile(`(\w+)(=~|!=|=)"([^"]*)"`)

// matchesAll reports whether the labels of a sample are what matchers say.
func matchesAll(matchers, labels string) bool {
	has := make(map[string]string)
	for _, l := range matcher.FindAllStringSubmatch(labels, -1) {
		has[l[1]] = l[3]
	}
	for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
		value, there := has[m[1]]
		if slices.Contains(fromPrometheus, m[1]) {
			continue
		}
		same := regexp.MustCompile("^(?:" + m[3] + ")$").MatchString(value)
		if !there || same == (m[2] == "!=") {
			return false
		}
	}
	return true
}

// TestMonitoringNames compares all that the dashboard and the alerts ask for
// with what a real node exports, labels and their values too.
func TestMonitoringNames(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	_, url, admin := startNodeWithAdmin(t, "--redis", server.Addr())
	w := watchMetrics(t, admin)
	publishTo(t, url, "news", "1")
	exported := w.now()
	for file, expressions := range map[string][]string{"grafana.json": dashboardExpressions(t), "alerts.yml": alertExpressions(t)} {
		if len(expressions) < 10 {
			t.Errorf("%s: found only %q", file, expressions)
		}
		for _, e := range expressions {
			for _, selector := range selectorsOf(e) {
				if !exported.has(selector) {
					t.Errorf("%s asks for %s, which a node does not export: %s", file, selector, e)
				}
			}
		}
	}
}

// TestMonitoringHasAll: what is worth exporting is worth a look.
func TestMonitoringHasAll(t *testing.T) {
	t.Parallel()
	all := strings.Join(slices.Concat(dashboardExpressions(t), alertExpressions(t)), "\n")
	for _, m := range metricTable {
		if !regexp.MustCompile(`\b` + m.name + `(_bucket)?\b`).MatchString(all) {
			t.Errorf("neither the dashboard nor an alert looks at %s", m.name)
		}
	}
}
