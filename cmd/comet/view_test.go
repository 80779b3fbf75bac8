package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"comet/internal/servertest"
	"comet/pubsub/cluster"
)

// askJSON reads the JSON of GET at an admin listener.
func askJSON[T any](t testing.TB, url string) (answer T) {
	t.Helper()
	response := servertest.Get(t, url)
	body := servertest.Body(t, response)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", url, response.Status, body)
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return answer
}

// reports returns the reports of all nodes, from the node at admin.
func reports(t testing.TB, admin string) (all []cluster.Report) {
	t.Helper()
	for _, raw := range askJSON[cluster.NodeList](t, admin+"/v1/nodes").Nodes {
		r, err := cluster.ParseReport(raw)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// awaitReports waits until the reports of the node at admin satisfy a condition.
func awaitReports(t testing.TB, admin, what string, ok func([]cluster.Report) bool) []cluster.Report {
	t.Helper()
	late := time.After(deadline)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		all := reports(t, admin)
		if ok(all) {
			return all
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("waited in vain for %s: the nodes are %+v", what, all)
		}
	}
}

func total(all []cluster.Report, of func(*cluster.Report) int64) (sum int64) {
	for i := range all {
		sum += of(&all[i])
	}
	return sum
}

func streams(r *cluster.Report) int64 { return r.Connections.Streams }

// TestViewForgetsNodes checks that a killed node is listed until its report expires,
// and that a node that leaves is reported as draining and then removed at once.
func TestViewForgetsNodes(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--drain-delay", "3s")
	names := func(all []cluster.Report) string {
		var list []string
		for _, r := range all {
			list = append(list, r.Name)
		}
		return strings.Join(list, " ")
	}
	awaitReports(t, c.admins[0], "three nodes", func(all []cluster.Report) bool { return names(all) == "node-1 node-2 node-3" })
	if err := c.processes[2].command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitReports(t, c.admins[0], "the end of node-3", func(all []cluster.Report) bool { return names(all) == "node-1 node-2" })
	c.processes[1].signal(syscall.SIGTERM)
	awaitReports(t, c.admins[0], "node-2 to drain", func(all []cluster.Report) bool {
		return len(all) == 2 && all[1].Draining && !all[1].Ready && len(all[1].Reasons) == 1
	})
	c.processes[1].wantExit(exitOK)
	if got := names(reports(t, c.admins[0])); got != "node-1" {
		t.Errorf("when node-2 had left, nodes are %q", got)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("a-token-of-an-operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := servertest.NewFile(t, "a-token-of-no-operator\n")
	_, url, admin := startNodeWithAdmin(t, "--node", "alone", "--admin-token", "a-token-of-an-operator")
	servertest.OpenStream(t, url+"/v1/events?channel=news")
	servertest.OpenStream(t, url+"/v1/events?channel=news&channel=sport")
	has2 := regexp.MustCompile(`alone +ready +2 |"streams": 2`)
	awaitStatus := func(args ...string) string {
		late := time.Now().Add(deadline)
		for {
			p := runToEnd(t, append([]string{"status", "--admin", admin, "--token-file", file}, args...)...)
			p.wantExit(exitOK)
			if out := p.out.String(); has2.MatchString(out) || time.Now().After(late) {
				return out
			}
		}
	}
	table := awaitStatus()
	for _, want := range []string{`(?m)^NODE +STATE +SUBSCRIBERS`, `(?m)^alone +ready +2 +\d+ .*` + url + `$`, `(?m)^news +2 +1$`, `(?m)^sport +1 +1$`} {
		if !regexp.MustCompile(want).MatchString(table) {
			t.Errorf("no %s in\n%s", want, table)
		}
	}
	var object clusterStatus
	if err := json.Unmarshal([]byte(awaitStatus("--json", "--prefix", "s", "--limit", "1")), &object); err != nil {
		t.Fatal(err)
	}
	if len(object.Nodes) != 1 || fmt.Sprint(object.Channels.Channels) != "[{{sport 1} 1}]" {
		t.Errorf("%+v", object)
	}
	for want, args := range map[string][]string{
		"--token-file":              {"--admin", admin},
		"--admin: invalid address":  {"--admin", "nonsense"},
		"--limit must be":           {"--limit", "0"},
		"is a listener for clients": {"--admin", url},
		"not the admin.token":       {"--admin", admin, "--token-file", wrong},
		"refused.*give it with --a": {"--admin", "http://127.0.0.1:1"},
		"--token-file: .*nowhere":   {"--token-file", "nowhere"},
	} {
		p := runToEnd(t, append([]string{"status"}, args...)...)
		if p.wait() == exitOK {
			t.Errorf("%q: exit code 0", args)
		}
		if text := p.errOut.String(); !regexp.MustCompile(want).MatchString(text) || strings.Contains(text, "operator\n") {
			t.Errorf("%q: error output %q, want %s", args, text, want)
		}
	}
}

// TestStatusOfNoNodes: a table without rows would look like an answer.
func TestStatusOfNoNodes(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := writeStatus(&out, &clusterStatus{}); err != nil || !strings.HasPrefix(out.String(), "No node has reported yet.") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
