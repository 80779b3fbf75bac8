package house

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A workflow of GitHub Actions, with the members that those of this repository use.
type workflow struct {
	Name        string
	On          yaml.Node
	Permissions map[string]string
	Concurrency struct {
		Group            string
		CancelInProgress bool `yaml:"cancel-in-progress"`
	}
	Jobs map[string]job
}

type job struct {
	RunsOn      string `yaml:"runs-on"`
	Timeout     int    `yaml:"timeout-minutes"`
	Permissions map[string]string
	Strategy    struct {
		FailFast bool `yaml:"fail-fast"`
		Matrix   map[string][]string
	}
	Steps []step
}

type step struct {
	Name, If, Uses, Run string
	With, Env           map[string]string
}

var (
	makeTarget  = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
	makeCall    = regexp.MustCompile(`\bmake ([a-z0-9-]+)`)
	testPackage = regexp.MustCompile(`\s\./([\w/]+)`)
)

// TestWorkflows: each workflow is one that GitHub can read, with bounded time and rights,
// and the targets of make and the packages that it names exist.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(root + "Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range makeTarget.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, m[1])
	}
	for _, file := range yamlFiles(t, ".github/workflows/*.yml", 5) {
		var w workflow
		decode(t, file, &w)
		if w.Name == "" || w.On.IsZero() || len(w.Permissions) == 0 || len(w.Jobs) == 0 {
			t.Errorf("%s needs name, on, permissions and jobs", file)
		}
		for name, j := range w.Jobs {
			if j.RunsOn == "" || j.Timeout == 0 || len(j.Steps) == 0 {
				t.Errorf("%s: job %s needs runs-on, timeout-minutes and steps", file, name)
			}
			for i, s := range j.Steps {
				if (s.Uses == "") == (s.Run == "") {
					t.Errorf("%s: step %d of job %s needs either uses or run", file, i+1, name)
				}
				if s.Uses != "" && !strings.Contains(s.Uses, "@") {
					t.Errorf("%s: %s has no version", file, s.Uses)
				}
				for _, call := range makeCall.FindAllStringSubmatch(s.Run, -1) {
					if !slices.Contains(targets, call[1]) {
						t.Errorf("%s calls `make %s`; the Makefile has no such target", file, call[1])
					}
				}
				for _, p := range testPackage.FindAllStringSubmatch(s.Run, -1) {
					if files, _ := filepath.Glob(root + p[1] + "/*.go"); len(files) == 0 {
						t.Errorf("%s names ./%s, which is no package", file, p[1])
					}
				}
			}
		}
	}
}

// TestIssueForms: each form has the members that GitHub requires, and no others.
func TestIssueForms(t *testing.T) {
	t.Parallel()
	for _, file := range yamlFiles(t, ".github/ISSUE_TEMPLATE/*.yml", 2) {
		if filepath.Base(file) == "config.yml" {
			var config struct {
				Blank bool `yaml:"blank_issues_enabled"`
			}
			decode(t, file, &config)
			continue
		}
		var form struct {
			Name, Description string
			Labels            []string
			Body              []struct {
				Type, ID   string
				Attributes struct {
					Label, Description, Value, Render string
					Options                           []string
				}
				Validations struct{ Required bool }
			}
		}
		decode(t, file, &form)
		if form.Name == "" || form.Description == "" || len(form.Body) == 0 {
			t.Errorf("%s needs name, description and body", file)
		}
		ids := make(map[string]bool)
		for i, b := range form.Body {
			switch b.Type {
			case "markdown":
				if b.Attributes.Value == "" {
					t.Errorf("%s: part %d needs a value", file, i+1)
				}
				continue
			case "input", "textarea":
			case "dropdown":
				if len(b.Attributes.Options) == 0 {
					t.Errorf("%s: %s needs options", file, b.ID)
				}
			default:
				t.Errorf("%s: part %d has the type %q", file, i+1, b.Type)
			}
			if b.ID == "" || b.Attributes.Label == "" || ids[b.ID] {
				t.Errorf("%s: part %d needs a label, and an id of its own", file, i+1)
			}
			ids[b.ID] = true
		}
	}
}

// TestDependabot: each folder that dependabot.yml names has what it looks for, and no module is missing.
func TestDependabot(t *testing.T) {
	t.Parallel()
	const file = root + ".github/dependabot.yml"
	var config struct {
		Version int
		Updates []struct {
			Ecosystem string `yaml:"package-ecosystem"`
			Directory string
			Schedule  struct{ Interval string }
			Groups    map[string]struct{ Patterns []string }
		}
	}
	decode(t, file, &config)
	var modules []string
	for _, u := range config.Updates {
		if !slices.Contains([]string{"daily", "weekly", "monthly"}, u.Schedule.Interval) {
			t.Errorf("%s: %s has the interval %q", file, u.Directory, u.Schedule.Interval)
		}
		wanted := map[string]string{"gomod": "go.mod", "npm": "package-lock.json", "github-actions": ".github/workflows"}[u.Ecosystem]
		if _, err := os.Stat(filepath.Join(root, u.Directory, wanted)); wanted == "" || err != nil {
			t.Errorf("%s: %s has nothing for %s", file, u.Directory, u.Ecosystem)
		}
		if u.Ecosystem == "gomod" {
			modules = append(modules, path.Join(u.Directory, "go.mod"))
		}
	}
	for _, mod := range []string{"/go.mod", "/k8s/go.mod", "/gateway/web/cometjs/bundle/go.mod", "/gateway/clienttest/goclients/go.mod"} {
		if !slices.Contains(modules, mod) {
			t.Errorf("%s does not name the folder of %s", file, mod)
		}
	}
}

// yamlFiles are the files that a pattern names, at least as many as that.
func yamlFiles(t *testing.T, pattern string, least int) []string {
	t.Helper()
	files, err := filepath.Glob(root + pattern)
	if err != nil || len(files) < least {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	return files
}

// decode reads a file of YAML into v, which has to have all of its members.
func decode(t *testing.T, file string, v any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(content))
	d.KnownFields(true)
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
