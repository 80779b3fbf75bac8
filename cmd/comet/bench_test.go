package main

import (
	"path/filepath"
	"strings"
	"testing"

	"comet/bench"
)

func TestBenchUsageMistakes(t *testing.T) {
	t.Parallel()
	const nodes = "bench run --nodes http://127.0.0.1:1 "
	for line, want := range map[string]string{
		"bench rn":                                     `did you mean run?`,
		"bench run":                                    `--nodes: name at least one`,
		"bench run --nodes nonsense":                   `--nodes: `,
		nodes + "more":                                 `unknown command "more"`,
		nodes + "--subscribers 0":                      `--subscribers: `,
		nodes + "--subscribers many":                   `"many"`,
		nodes + "--channels -1":                        `--channels: `,
		nodes + "--transport pigeon":                   `none of sse, poll, short-poll, bayeux and mixed`,
		nodes + "--churn 101%":                         `is not a share`,
		nodes + "--churn lots":                         `is not a share`,
		nodes + "--size big":                           `is not a size`,
		nodes + "--size 1":                             `--size: `,
		nodes + "--size 3GiB":                          `is not a size`,
		nodes + "--rate -1":                            `--rate: `,
		nodes + "--rate 5 --duration 0":                `--rate: `,
		nodes + "--duration 5":                         `"5"`,
		nodes + "--duration -5s":                       `--duration: `,
		nodes + "--publishers 0 --messages -1":         `--messages: `,
		nodes + "--preset apache":                      `--preset: `,
		nodes + "--preset centrifugo --transport poll": `--transport: `,
		nodes + "--subscribe-url nonsense":             `--subscribe-url: `,
		nodes + "--preset comet --subscribe-url /x":    `--preset: `,
		nodes + "--header nonsense":                    `--header: `,
		nodes + "--pid -5":                             `--pid: `,
		nodes + "--report -":                           `--report: `,
		"bench run --nodes http://192.0.2.1":           `set --yes-i-own-this-target if it is yours`,
		"bench compare more":                           `unknown command "more"`,
		"bench compare --subscribers 0":                `--subscribers: `,
		"bench compare --subscribers 1,x":              `"1,x"`,
		"bench compare --pid 5":                        `--pid is a process of --node`,
		"bench compare --node nonsense":                `--node: `,
		"bench compare --node http://192.0.2.1":        `--yes-i-own-this-target`,
		"bench compare --json - --markdown -":          `only one of --json and --markdown`,
		"bench agent --token a --token-file b":         `--token and --token-file are both set`,
		"bench agent --listen 0.0.0.0:0":               `an agent needs a token`,
		"bench worker more":                            `unknown command "more"`,
	} {
		code, out, errOut := runHere(t, strings.Fields(line)...)
		if code != exitUsage || out != "" {
			t.Errorf("comet %s: exit code %d, want %d; output %q", line, code, exitUsage, out)
		}
		if !strings.HasPrefix(errOut, "comet: ") || !strings.Contains(errOut, want) || !strings.Contains(errOut, "--help'.\n") {
			t.Errorf("comet %s: error output %q, want %s and where to find help", line, errOut, want)
		}
	}
}

// TestBenchStartFails checks the errors that end a load test before the load.
// Each is one clear line.
func TestBenchStartFails(t *testing.T) {
	t.Parallel()
	taken := listenAnywhere(t)
	folder := t.TempDir()
	for line, want := range map[string]string{
		"bench run --nodes http://127.0.0.1:1 --report " + filepath.Join(folder, "none", "x.html"): `comet: --report: .*none`,
		"bench run --nodes http://127.0.0.1:1 --json " + folder:                                    `comet: --json: .*is a directory`,
		"bench agent --listen " + taken:                                                            `comet: --listen: .*in use`,
		"bench agent --token-file " + filepath.Join(folder, "none"):                                `comet: --token-file: .*no such file`,
	} {
		p := runToEnd(t, strings.Fields(line)...)
		p.wantExit(exitFailure)
		p.wantOut("")
		p.wantErrOut(1, "^"+want)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	plan, in := bench.Plan{Subscribers: 2}, bench.Arrival{Subscribers: 2}
	for name, test := range map[string]struct {
		result bench.Result
		want   string // empty: none
	}{
		"perfect":         {bench.Result{Plan: plan, Arrival: in, Publish: bench.Publish{Acknowledged: 5, Unknown: 1, Retried: 3}}, ""},
		"idle":            {bench.Result{Plan: plan, Arrival: in}, ""},
		"gaps and resets": {bench.Result{Plan: plan, Arrival: in, Trouble: bench.Trouble{Gaps: 1, Unknown: 1, Errors: map[string]int64{"reset": 4}}}, ""},
		"lost":            {bench.Result{Plan: plan, Arrival: in, Trouble: bench.Trouble{Lost: 1}}, "lost: 1,"},
		"repeated":        {bench.Result{Plan: plan, Arrival: in, Trouble: bench.Trouble{Repeated: 2}}, "repeated: 2,"},
		"out of order":    {bench.Result{Plan: plan, Arrival: in, Trouble: bench.Trouble{OutOfOrder: 3}}, "out of order: 3,"},
		"several orders":  {bench.Result{Plan: plan, Arrival: in, Trouble: bench.Trouble{Orders: 4}}, "orders: 4"},
		"not in":          {bench.Result{Plan: plan, Arrival: bench.Arrival{Subscribers: 1}}, "1 of 2 subscribers did not connect"},
		"not in yet":      {bench.Result{Plan: plan, Interrupted: true}, ""},
		"refused":         {bench.Result{Plan: plan, Arrival: in, Publish: bench.Publish{Acknowledged: 5, Failed: 2}}, "refused 2 of 7 messages"},
		"no answer":       {bench.Result{Plan: plan, Arrival: in, Publish: bench.Publish{Unknown: 2}}, "acknowledged no message"},
	} {
		err := verdict(&test.result)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
