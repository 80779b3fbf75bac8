package test

import (
	"bufio"
	"bytes"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
)

// workloads are all that have pods.
func workloads(all objects) (some []workload) {
	for _, d := range of[*appsv1.Deployment](all) {
		some = append(some, workload{"Deployment", d.Name, d.Spec.Selector.MatchLabels, &d.Spec.Template})
	}
	for _, s := range of[*appsv1.StatefulSet](all) {
		some = append(some, workload{"StatefulSet", s.Name, s.Spec.Selector.MatchLabels, &s.Spec.Template})
	}
	for _, j := range of[*batchv1.Job](all) {
		some = append(some, workload{"Job", j.Name, nil, &j.Spec.Template})
	}
	return some
}

func newReader(text []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(text)) }
