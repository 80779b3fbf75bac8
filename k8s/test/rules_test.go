package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// rules hold for every kustomization and for the chart. Each returns what is
// wrong.
var rules = map[string]func(objects) []string{
	"pods are restricted":               restricted,
	"images have a version":             imagesHaveVersions,
	"file systems are read-only":        readOnly,
	"resources are requested":           resourcesRequested,
	"selectors match":                   selectorsMatch,
	"ports exist":                       portsExist,
	"what pods refer to exists":         referencesExist,
	"nothing names a namespace":         noNamespace,
	"network policies have their ports": policyPortsExist,
	"autoscalers have a target":         scaleTargetsExist,
	"no token of Kubernetes in pods":    noServiceToken,
	"servers have all probes":           probesExist,
}

func TestRules(t *testing.T) {
	sets := map[string]objects{"chart": helm(t, "comet", nil), "chart with everything": helm(t, "some-release", everything())}
	for _, folder := range folders {
		sets[folder] = kustomize(t, folder)
	}
	for set, all := range sets {
		if len(workloads(all)) == 0 {
			t.Errorf("%s has no pods", set)
		}
		for rule, check := range rules {
			for _, problem := range check(all) {
				t.Errorf("%s: %s: %s", set, rule, problem)
			}
		}
	}
}

// restricted is Pod Security's strictest standard.
func restricted(all objects) (problems []string) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	level := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	for _, w := range workloads(all) {
		for _, result := range evaluator.EvaluatePod(level, &w.pod.ObjectMeta, &w.pod.Spec) {
			if !result.Allowed {
				problems = append(problems, fmt.Sprint(w, ": ", result.ForbiddenReason, ": ", result.ForbiddenDetail))
			}
		}
	}
	return problems
}

// containers are all of every pod.
func containers(all objects, visit func(workload, *corev1.Container)) {
	for _, w := range workloads(all) {
		for i := range w.pod.Spec.InitContainers {
			visit(w, &w.pod.Spec.InitContainers[i])
		}
		for i := range w.pod.Spec.Containers {
			visit(w, &w.pod.Spec.Containers[i])
		}
	}
}

func imagesHaveVersions(all objects) (problems []string) {
	containers(all, func(w workload, c *corev1.Container) {
		if _, tag, ok := strings.Cut(c.Image, ":"); !ok || tag == "latest" || c.ImagePullPolicy != corev1.PullIfNotPresent {
			problems = append(problems, fmt.Sprint(w, ": ", c.Image, " ", c.ImagePullPolicy))
		}
	})
	return problems
}

func readOnly(all objects) (problems []string) {
	containers(all, func(w workload, c *corev1.Container) {
		if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			problems = append(problems, fmt.Sprint(w, ": ", c.Name))
		}
	})
	return problems
}

func resourcesRequested(all objects) (problems []string) {
	containers(all, func(w workload, c *corev1.Container) {
		if r := c.Resources; r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() {
			problems = append(problems, fmt.Sprint(w, ": ", c.Name, " has no requests of CPU and memory, or no limit of memory"))
		}
	})
	return problems
}

// selectorsMatch: workloads find their own pods, Services and budgets exactly
// one workload's, policies some.
func selectorsMatch(all objects) (problems []string) {
	selected := func(what string, selector labels.Selector, want int) {
		n := 0
		for _, w := range workloads(all) {
			if selector.Matches(labels.Set(w.pod.Labels)) {
				n++
			}
		}
		if n != want && want > 0 || n == 0 {
			problems = append(problems, fmt.Sprintf("%s selects %d workloads", what, n))
		}
	}
	for _, w := range workloads(all) {
		if w.selector != nil {
			if !labels.SelectorFromSet(w.selector).Matches(labels.Set(w.pod.Labels)) {
				problems = append(problems, fmt.Sprint(w, " does not select its own pods"))
			}
			selected(w.String(), labels.SelectorFromSet(w.selector), 1)
		}
	}
	for _, s := range of[*corev1.Service](all) {
		selected("Service "+s.Name, labels.SelectorFromSet(s.Spec.Selector), 1)
	}
	for _, b := range of[*policyv1.PodDisruptionBudget](all) {
		selected("PodDisruptionBudget "+b.Name, selector(b.Spec.Selector), 1)
	}
	for _, p := range of[*networkingv1.NetworkPolicy](all) {
		selected("NetworkPolicy "+p.Name, selector(&p.Spec.PodSelector), 0)
	}
	return problems
}

func selector(s *metav1.LabelSelector) labels.Selector {
	compiled, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return compiled
}

// portsExist: what Services and probes name is a port of the container.
func portsExist(all objects) (problems []string) {
	for _, s := range of[*corev1.Service](all) {
		for _, w := range workloads(all) {
			if !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(w.pod.Labels)) {
				continue
			}
			for _, p := range s.Spec.Ports {
				if !hasPort(w, p.TargetPort) {
					problems = append(problems, fmt.Sprintf("Service %s: %s has no port %s", s.Name, w, p.TargetPort.String()))
				}
			}
		}
	}
	containers(all, func(w workload, c *corev1.Container) {
		for _, probe := range probes(c) {
			if h := probe.HTTPGet; h != nil && !hasPort(w, h.Port) {
				problems = append(problems, fmt.Sprintf("%s: a probe asks port %s", w, h.Port.String()))
			}
			if s := probe.TCPSocket; s != nil && !hasPort(w, s.Port) {
				problems = append(problems, fmt.Sprintf("%s: a probe calls port %s", w, s.Port.String()))
			}
		}
	})
	return problems
}

func hasPort(w workload, port intstr.IntOrString) bool {
	for _, c := range w.pod.Spec.Containers {
		if slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return p.Name == port.String() || fmt.Sprint(p.ContainerPort) == port.String()
		}) {
			return true
		}
	}
	return false
}

func probes(c *corev1.Container) (all []*corev1.Probe) {
	for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

func probesExist(all objects) (problems []string) {
	for _, w := range workloads(all) {
		for _, c := range w.pod.Spec.Containers {
			if n := len(probes(&c)); w.kind != "Job" && n != 3 {
				problems = append(problems, fmt.Sprintf("%s: %s has %d", w, c.Name, n))
			}
		}
	}
	return problems
}

func noNamespace(all objects) (problems []string) {
	for _, o := range all {
		if m, ok := o.(metav1.Object); ok && m.GetNamespace() != "" {
			problems = append(problems, m.GetName()+" is in "+m.GetNamespace())
		}
	}
	return problems
}

// policyPortsExist checks that the pods have each port that a policy allows.
func policyPortsExist(all objects) (problems []string) {
	for _, p := range of[*networkingv1.NetworkPolicy](all) {
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				if !slices.ContainsFunc(workloads(all), func(w workload) bool {
					return selector(&p.Spec.PodSelector).Matches(labels.Set(w.pod.Labels)) && hasPort(w, *port.Port)
				}) {
					problems = append(problems, fmt.Sprintf("%s allows port %s, which its pods lack", p.Name, port.Port))
				}
			}
		}
	}
	return problems
}

func scaleTargetsExist(all objects) (problems []string) {
	for _, h := range of[*autoscalingv2.HorizontalPodAutoscaler](all) {
		for _, d := range of[*appsv1.Deployment](all) {
			if d.Name == h.Spec.ScaleTargetRef.Name && d.Spec.Replicas != nil {
				problems = append(problems, h.Name+" and the Deployment both say how many")
			}
		}
		if !slices.ContainsFunc(workloads(all), func(w workload) bool {
			return w.kind == h.Spec.ScaleTargetRef.Kind && w.name == h.Spec.ScaleTargetRef.Name
		}) {
			problems = append(problems, h.Name+" has no target")
		}
		if window := h.Spec.Behavior.ScaleDown.StabilizationWindowSeconds; window == nil || time.Duration(*window)*time.Second < 10*time.Minute {
			problems = append(problems, h.Name+" does not wait before it sends clients away")
		}
	}
	return problems
}

func noServiceToken(all objects) (problems []string) {
	for _, w := range workloads(all) {
		if mount := w.pod.Spec.AutomountServiceAccountToken; mount == nil || *mount {
			problems = append(problems, w.String())
		}
	}
	return problems
}
