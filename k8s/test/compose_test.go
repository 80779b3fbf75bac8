package test

import (
	"os"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
)

// TestComposeFile loads deploy/compose.yaml as Compose does: by its schema, with the
// variables that deploy/README.md has in .env, and not without them.
func TestComposeFile(t *testing.T) {
	load := func(environ ...string) error {
		options, err := cli.NewProjectOptions([]string{"../../deploy/compose.yaml"}, cli.WithEnv(environ), cli.WithInterpolation(true))
		if err != nil {
			return err
		}
		project, err := options.LoadProject(t.Context())
		if err != nil {
			return err
		}
		for _, name := range []string{"comet-1", "comet-2", "balancer", "redis"} {
			if _, err := project.GetService(name); err != nil {
				return err
			}
		}
		return nil
	}
	readme, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var environ []string
	for _, name := range []string{"COMET_ADMIN_TOKEN", "COMET_AUTH_JWT_SECRET", "COMET_AUTH_KEYS"} {
		if !strings.Contains(string(readme), name+"=") {
			t.Errorf("deploy/README.md does not set %s", name)
		}
		environ = append(environ, name+"=secret")
	}
	if err := load(environ...); err != nil {
		t.Error(err)
	}
	if err := load(environ[:2]...); err == nil || !strings.Contains(err.Error(), "deploy/README.md") {
		t.Errorf("without COMET_AUTH_KEYS: %v, want where to read how to set it", err)
	}
}
