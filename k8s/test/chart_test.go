package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// everything turns on what is off by default.
func everything() map[string]any {
	on := map[string]any{"enabled": true}
	some := map[string]any{"a": "b"}
	return map[string]any{
		"image": map[string]any{"digest": "sha256:" + strings.Repeat("0", 64)}, "imagePullSecrets": []any{map[string]any{"name": "s"}},
		"autoscaling": on, "httpRoute": map[string]any{"enabled": true, "host": "*.example.com"},
		"ingress":        map[string]any{"enabled": true, "className": "nginx", "host": "*.example.com", "annotations": some},
		"podMonitor":     map[string]any{"enabled": true, "labels": some},
		"prometheusRule": map[string]any{"enabled": true, "labels": some},
		"tolerations":    []any{map[string]any{"operator": "Exists"}}, "nodeSelector": some, "podAnnotations": some, "podLabels": some,
		"affinity": map[string]any{"podAntiAffinity": map[string]any{}}, "priorityClassName": "high",
		"topologySpreadConstraints": []any{map[string]any{"maxSkew": 2, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
			"labelSelector": map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "comet"}}}},
		"service":           map[string]any{"type": "LoadBalancer", "annotations": some, "externalTrafficPolicy": "Local", "ipFamilyPolicy": "PreferDualStack"},
		"networkPolicy":     map[string]any{"extraEgress": []any{map[string]any{"ports": []any{map[string]any{"port": 443}}}}},
		"extraEnv":          []any{map[string]any{"name": "COMET_REDIS_TLS_CA", "value": "/tls/ca.pem"}},
		"extraVolumes":      []any{map[string]any{"name": "tls", "secret": map[string]any{"secretName": "comet"}}},
		"extraVolumeMounts": []any{map[string]any{"name": "tls", "mountPath": "/tls", "readOnly": true}},
		"resources":         map[string]any{"limits": map[string]any{"cpu": nil}},
	}
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
	compare(t, kustomize(t, "overlays/prod"), helm(t, "comet", prod))
	prod["httpRoute"] = map[string]any{"enabled": true}
	compare(t, kustomize(t, "overlays/prod-gateway"), helm(t, "comet", prod))
	delete(prod, "httpRoute")
	annotations := map[string]any{}
	for _, i := range of[*networkingv1.Ingress](kustomize(t, "overlays/prod-ingress")) {
		for key, value := range i.Annotations {
			annotations[key] = value
		}
	}
	prod["ingress"] = map[string]any{"enabled": true, "className": "nginx", "annotations": annotations}
	compare(t, kustomize(t, "overlays/prod-ingress"), helm(t, "comet", prod))
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
		"an unknown value":                    {"replica": 3},
		"a number as text":                    {"replicas": "3"},
		"the tag latest":                      {"image": map[string]any{"tag": "latest"}},
		"not a secret's name":                 {"secrets": map[string]any{"REDIS_PASSWORD": "x"}},
		"no port of Redis":                    {"networkPolicy": map[string]any{"redisPorts": []any{}}},
		"a digest without sha256":             {"image": map[string]any{"digest": "0123"}},
		"a pod that is killed as it drains":   {"config": map[string]any{"drain": map[string]any{"spread": "5m"}}},
		"the same in parts":                   {"config": map[string]any{"drain": map[string]any{"delay": "500ms", "spread": "0.5m19.5s"}}},
		"more replicas at least than at most": {"autoscaling": map[string]any{"enabled": true, "minReplicas": 30}},
		"two monitors":                        {"serviceMonitor": map[string]any{"enabled": true}, "podMonitor": map[string]any{"enabled": true}},
		"an Ingress without a class":          {"ingress": map[string]any{"enabled": true}},
		"a policy that Kubernetes lacks":      {"service": map[string]any{"externalTrafficPolicy": "local"}},
	} {
		if text, err := renderChart("comet", values); err == nil {
			t.Errorf("%s is taken: %s", name, text[:min(len(text), 200)])
		}
	}
}

// TestUpgradeKeepsSecrets: an upgrade without the secrets does not overwrite them.
func TestUpgradeKeepsSecrets(t *testing.T) {
	live := &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: "comet", Namespace: "default"},
		Data: map[string][]byte{"COMET_ADMIN_TOKEN": []byte("real"), "COMET_AUTH_KEYS": []byte("backend:REPLACE-ME"), "COMET_REDIS_TLS_ENABLED": []byte("true")}}
	values := map[string]any{"replicas": 3, "secrets": map[string]any{"COMET_AUTH_KEYS": "backend:new", "COMET_REDIS_ADDRESSES": []any{"a:1", "b:2"}}}
	all := upgrade(t, "comet", values, live)
	want := map[string]string{"COMET_ADMIN_TOKEN": "real", "COMET_AUTH_KEYS": "backend:new", "COMET_REDIS_TLS_ENABLED": "true",
		"COMET_REDIS_ADDRESSES": "a:1,b:2", "COMET_AUTH_JWT_SECRET": "REPLACE-ME", "COMET_REDIS_PASSWORD": "REPLACE-ME"}
	got := map[string]string{}
	for key, value := range named[*corev1.Secret](t, all, "comet").Data {
		got[key] = string(value)
	}
	if !maps.Equal(got, want) {
		t.Errorf("the Secret becomes %v, want %v", got, want)
	}
	// The pods are replaced exactly when a secret changes.
	sum := func(all objects) string {
		return named[*appsv1.Deployment](t, all, "comet").Spec.Template.Annotations["checksum/secrets"]
	}
	live.Data = named[*corev1.Secret](t, all, "comet").Data
	if a, b := sum(all), sum(upgrade(t, "comet", nil, live)); a != b {
		t.Error("the pods are replaced though no secret has changed")
	}
	if a, b := sum(all), sum(upgrade(t, "comet", map[string]any{"secrets": map[string]any{"COMET_REDIS_PASSWORD": "new"}}, live)); a == b {
		t.Error("the pods keep an old secret")
	}
}

// TestAutoscalerKeepsReplicas: turning the autoscaler on does not drop the Deployment to
// one pod, and an upgrade does not undo its work.
func TestAutoscalerKeepsReplicas(t *testing.T) {
	live := &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Name: "comet", Namespace: "default"}}
	live.Spec.Replicas = new(int32(7))
	on := map[string]any{"autoscaling": map[string]any{"enabled": true}}
	if d := named[*appsv1.Deployment](t, upgrade(t, "comet", on, live), "comet"); d.Spec.Replicas == nil || *d.Spec.Replicas != 7 {
		t.Errorf("7 pods become %v", d.Spec.Replicas)
	}
	if d := named[*appsv1.Deployment](t, upgrade(t, "comet", nil, live), "comet"); *d.Spec.Replicas != 2 {
		t.Errorf("replicas: 2 becomes %d", *d.Spec.Replicas)
	}
}

// TestMonitors: nodes are scraped by their token as the job that the alerts are about.
func TestMonitors(t *testing.T) {
	all := helm(t, "some-release", map[string]any{"serviceMonitor": map[string]any{"enabled": true}, "prometheusRule": map[string]any{"enabled": true}})
	m := named[*monitoringv1.ServiceMonitor](t, all, "some-release-comet")
	admin := named[*corev1.Service](t, all, "some-release-comet-admin")
	if !selector(&m.Spec.Selector).Matches(labels.Set(admin.Labels)) || admin.Labels[m.Spec.JobLabel] != "comet" {
		t.Errorf("%+v does not select the Service, or has another job than comet", m.Spec)
	}
	if other := named[*corev1.Service](t, all, "some-release-comet"); selector(&m.Spec.Selector).Matches(labels.Set(other.Labels)) {
		t.Error("the monitor selects the clients' Service")
	}
	if a := m.Spec.Endpoints[0].Authorization; a == nil || a.Credentials.Name != "some-release-comet" || a.Credentials.Key != "COMET_ADMIN_TOKEN" {
		t.Errorf("it scrapes with %+v", a)
	}
	alerts, err := os.ReadFile("../../docs/monitoring/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	if chart, err := os.ReadFile("../helm/comet/files/alerts.yml"); err != nil || string(chart) != string(alerts) {
		t.Errorf("helm/comet/files/alerts.yml is not docs/monitoring/alerts.yml (%v): copy it", err)
	}
	var want monitoringv1.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(alerts, &want); err != nil {
		t.Fatal(err)
	}
	if got := named[*monitoringv1.PrometheusRule](t, all, "some-release-comet").Spec; !reflect.DeepEqual(got, want) {
		t.Errorf("the rules are %+v, want %+v", got, want)
	}
}

// TestSecretsAreNotTracked: git ignores the files with real secrets.
func TestSecretsAreNotTracked(t *testing.T) {
	for _, folder := range folders {
		examples, err := filepath.Glob("../" + folder + "/*.env.example")
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range examples {
			file := strings.TrimSuffix(example, ".example")
			if err := exec.CommandContext(t.Context(), "git", "check-ignore", "-q", file).Run(); err != nil {
				t.Errorf("git does not ignore %s", file)
			}
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
