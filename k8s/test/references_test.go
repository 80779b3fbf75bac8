package test

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// referencesExist: an unknown ConfigMap or Secret would hold the pod up.
func referencesExist(all objects) (problems []string) {
	have := map[string]bool{}
	for _, o := range all {
		if m, ok := o.(metav1.Object); ok {
			have[o.GetObjectKind().GroupVersionKind().Kind+" "+m.GetName()] = true
		}
	}
	want := func(w workload, kind, name string) {
		if !have[kind+" "+name] {
			problems = append(problems, fmt.Sprintf("%s: there is no %s %s", w, kind, name))
		}
	}
	for _, w := range workloads(all) {
		if name := w.pod.Spec.ServiceAccountName; name != "" {
			want(w, "ServiceAccount", name)
		}
		if name := w.pod.Spec.Subdomain; name != "" {
			want(w, "Service", name)
		}
		for _, v := range w.pod.Spec.Volumes {
			if v.ConfigMap != nil {
				want(w, "ConfigMap", v.ConfigMap.Name)
			}
		}
	}
	for _, s := range of[*appsv1.StatefulSet](all) {
		if !have["Service "+s.Spec.ServiceName] {
			problems = append(problems, "StatefulSet "+s.Name+": there is no Service "+s.Spec.ServiceName)
		}
	}
	containers(all, func(w workload, c *corev1.Container) {
		for _, from := range c.EnvFrom {
			want(w, "Secret", from.SecretRef.Name)
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				want(w, "Secret", e.ValueFrom.SecretKeyRef.Name)
			}
		}
		for _, m := range c.VolumeMounts {
			if !hasVolume(all, w, m.Name) {
				problems = append(problems, fmt.Sprint(w, ": there is no volume ", m.Name))
			}
		}
	})
	return problems
}

func hasVolume(all objects, w workload, name string) bool {
	for _, s := range of[*appsv1.StatefulSet](all) {
		for _, claim := range s.Spec.VolumeClaimTemplates {
			if s.Name == w.name && claim.Name == name {
				return true
			}
		}
	}
	return slices.ContainsFunc(w.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
}
