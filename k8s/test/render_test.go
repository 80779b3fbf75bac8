package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/engine"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// folders are all kustomizations.
var folders = []string{"base", "overlays/dev", "overlays/prod", "overlays/prod-gateway", "overlays/prod-ingress", "overlays/redis-ha", "overlays/redis-cluster", "loadtest"}

// withNodes are those that have nodes.
var withNodes = folders[:len(folders)-1]

// objects is everything that one kustomization or chart makes.
type objects []runtime.Object

// manifests is a copy of the kustomizations, with each example of a secret file as the
// file, made once.
var manifests = sync.OnceValues(func() (string, error) {
	root := filepath.Join(os.TempDir(), fmt.Sprintf("comet-k8s-manifests-%d", os.Getpid()))
	for _, folder := range []string{"base", "overlays", "loadtest"} {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS("../"+folder)); err != nil {
			return "", err
		}
	}
	return root, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if file, example := strings.CutSuffix(path, ".example"); err == nil && example {
			_ = os.Remove(file) // a developer's own
			return os.Rename(path, file)
		}
		return err
	})
})

// kustomize renders a folder, as kubectl apply -k does.
func kustomize(t testing.TB, folder string) objects {
	t.Helper()
	root, err := manifests()
	if err != nil {
		t.Fatal(err)
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, folder))
	if err != nil {
		t.Fatal(err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

// helm renders the chart as a new release of that name.
func helm(t testing.TB, release string, values map[string]any) objects {
	t.Helper()
	return upgrade(t, release, values)
}

// upgrade renders the chart as a release of that name whose cluster holds live.
func upgrade(t testing.TB, release string, values map[string]any, live ...runtime.Object) objects {
	t.Helper()
	text, err := renderChart(release, values, live...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

func renderChart(release string, values map[string]any, live ...runtime.Object) ([]byte, error) {
	var c chart.Charter
	c, err := loader.LoadDir("../helm/comet")
	if err != nil {
		return nil, err
	}
	all, err := util.ToRenderValues(c, values, common.ReleaseOptions{Name: release, Namespace: "default", IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.RenderWithClientProvider(c, all, cluster{fake.NewSimpleDynamicClient(scheme.Scheme, live...)})
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for name, content := range files {
		if strings.HasSuffix(name, ".yaml") {
			fmt.Fprintf(&text, "---\n%s\n", content)
		}
	}
	return text.Bytes(), nil
}

// cluster is what the chart's lookup reads.
type cluster struct{ client dynamic.Interface }

func (c cluster) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	resource, _ := meta.UnsafeGuessKindToResource(schema.FromAPIVersionAndKind(apiVersion, kind))
	return c.client.Resource(resource), true, nil
}

// decode is strict: an unknown or repeated field is an error, as for
// kubectl apply --validate=strict.
func decode(t testing.TB, text []byte) (all objects) {
	t.Helper()
	s := runtime.NewScheme()
	if err := scheme.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(gatewayv1.Install(s), monitoringv1.AddToScheme(s)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(s, serializer.EnableStrict).UniversalDeserializer()
	for documents := yaml.NewYAMLReader(newReader(text)); ; {
		document, err := documents.Read()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(bytes.TrimPrefix(document, []byte("---")))) == 0 {
			continue
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v, in\n%s", err, document)
		}
		all = append(all, object)
	}
}

// of is the objects of one type.
func of[T runtime.Object](all objects) (some []T) {
	for _, o := range all {
		if typed, ok := o.(T); ok {
			some = append(some, typed)
		}
	}
	return some
}

// named returns the object of a type with a name, without regard to the hash after it.
func named[T interface {
	runtime.Object
	metav1.Object
}](t testing.TB, all objects, name string) T {
	t.Helper()
	for _, o := range of[T](all) {
		if withoutHash(o.GetName()) == name {
			return o
		}
	}
	t.Fatalf("there is no %T %s", *new(T), name)
	return *new(T)
}

// withoutHash takes off what kustomize's generators add: ten of its letters.
func withoutHash(name string) string {
	at := strings.LastIndexByte(name, '-')
	if at < 0 || len(name)-at != 11 || strings.Trim(name[at+1:], "bcdfghkmt2456789") != "" {
		return name
	}
	return name[:at]
}

// workload is anything that has pods.
type workload struct {
	kind, name string
	selector   map[string]string // nil for a Job
	pod        *corev1.PodTemplateSpec
}

func (w workload) String() string { return w.kind + " " + w.name }
