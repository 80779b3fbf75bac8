package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// everything turns on what is off by default.
func everything() map[string]any {
	on := map[string]any{"enabled": true}
	return map[string]any{"autoscaling": on, "ingress": on, "httpRoute": on, "tolerations": []any{map[string]any{"operator": "Exists"}},
		"nodeSelector": map[string]any{"a": "b"}, "affinity": map[string]any{"podAntiAffinity": map[string]any{}},
		"podAnnotations": map[string]any{"a": "b"}, "imagePullSecrets": []any{map[string]any{"name": "s"}},
		"service":       map[string]any{"type": "LoadBalancer", "annotations": map[string]any{"a": "b"}},
		"networkPolicy": map[string]any{"extraEgress": []any{map[string]any{"ports": []any{map[string]any{"port": 443}}}}}}
}

// TestChart: the chart makes the same objects as the kustomizations.
func TestChart(t *testing.T) {
	compare(t, kustomize(t, "base"), helm(t, "comet", nil))

	var config map[string]any
	read(t, "../overlays/prod/comet.yaml", &config)
	prod := map[string]any{
		"config": config, "autoscaling": map[string]any{"enabled": true}, "terminationGracePeriodSeconds": 100,
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "500m", "memory": "512Mi"},
			"limits":   map[string]any{"cpu": "4", "memory": "1Gi"}},
	}
	gateway := maps.Clone(prod)
	prod["ingress"], gateway["httpRoute"] = map[string]any{"enabled": true}, map[string]any{"enabled": true}
	compare(t, kustomize(t, "overlays/prod"), helm(t, "comet", prod))
	compare(t, kustomize(t, "overlays/prod-gateway"), helm(t, "comet", gateway))
}

func compare(t *testing.T, want, got objects) {
	t.Helper()
	a, b := normal(t, want), normal(t, got)
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] != b[name] {
			t.Errorf("%s: kustomize has\n%s\nthe chart has\n%s", name, a[name], b[name])
		}
	}
	for name := range b {
		if a[name] == "" {
			t.Errorf("the chart alone has %s", name)
		}
	}
}

// normal is objects as text, by kind and name, without what differs by
// intention: labels of the tools, and how a change of a file rolls the pods.
func normal(t *testing.T, all objects) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, o := range all {
		o = o.DeepCopyObject()
		if c, ok := o.(*corev1.ConfigMap); ok {
			for name, text := range c.Data {
				c.Data[name] = canonical(t, text)
			}
		}
		m := o.(metav1.Object)
		m.SetName(withoutHash(m.GetName()))
		m.SetLabels(nil)
		texts[o.GetObjectKind().GroupVersionKind().Kind+" "+m.GetName()] = scrub(t, o)
	}
	return texts
}

// canonical is YAML without comments, in the order of its keys.
func canonical(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func scrub(t *testing.T, o runtime.Object) string {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(scrubbed(value))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func scrubbed(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			switch {
			case key == "app.kubernetes.io/instance", strings.HasPrefix(key, "checksum/"):
				delete(v, key)
			case key == "name":
				v[key] = withoutHash(fmt.Sprint(inner))
			default:
				v[key] = scrubbed(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = scrubbed(v[i])
		}
	}
	return value
}

// TestChartRefuses: the schema catches mistakes before Kubernetes sees them.
func TestChartRefuses(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"an unknown value":      {"replica": 3},
		"a number as text":      {"replicas": "3"},
		"the tag latest":        {"image": map[string]any{"tag": "latest"}},
		"a secret that is none": {"secrets": map[string]any{"REDIS_PASSWORD": "x"}},
		"no port of Redis":      {"networkPolicy": map[string]any{"redisPorts": []any{}}},
	} {
		if text, err := renderChart("comet", values); err == nil {
			t.Errorf("%s is taken: %s", name, text[:min(len(text), 200)])
		}
	}
}

// TestChartReadme: every value is documented, and nothing else.
func TestChartReadme(t *testing.T) {
	readme, err := os.ReadFile("../helm/comet/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	read(t, "../helm/comet/values.yaml", &values)
	rows := map[string]bool{}
	for line := range strings.Lines(string(readme)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			rows[name] = true
		}
	}
	for key, value := range values {
		group, isGroup := value.(map[string]any)
		if rows[key] || !isGroup || len(group) == 0 {
			if !rows[key] {
				t.Errorf("%s is not in the README", key)
			}
			delete(rows, key)
			continue
		}
		for member := range group {
			if !rows[key+"."+member] {
				t.Errorf("%s.%s is not in the README", key, member)
			}
			delete(rows, key+"."+member)
		}
	}
	for row := range rows {
		t.Errorf("the README has %s, which is no value", row)
	}
}

// TestVersions: the same version everywhere.
func TestVersions(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(makefile), "\nVERSION = ")
	version, _, _ = strings.Cut(version, "\n")
	var chart struct{ Version, AppVersion string }
	read(t, "../helm/comet/Chart.yaml", &chart)
	if version == "" || chart.Version != version || chart.AppVersion != version {
		t.Errorf("the Makefile has version %q, the chart %+v", version, chart)
	}
	for _, folder := range folders {
		containers(kustomize(t, folder), func(w workload, c *corev1.Container) {
			if name, tag, _ := strings.Cut(c.Image, ":"); name == "comet" && tag != version {
				t.Errorf("%s, %s: %s, want version %s", folder, w, c.Image, version)
			}
		})
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
