package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"comet/internal/servertest"
)

// A publish of a Bayeux client is traced from its request to the connect that gets it, and
// the metrics count connects like polls.
func TestBayeuxTracedAndCounted(t *testing.T) {
	t.Parallel()
	c := newSpanCollector(t)
	p, url, admin := startNodeWithAdmin(t, "--bayeux-enabled", "--node", "a", "--tracing-endpoint", c.url, "--tracing-sample", "0", "--log-level", "debug")
	send := func(message string, header ...string) (answer []map[string]any) {
		t.Helper()
		r := servertest.Ask(t, "POST", url+"/bayeux", message, append(header, "Content-Type", "application/json")...)
		if err := json.Unmarshal([]byte(servertest.Body(t, r)), &answer); err != nil || answer[len(answer)-1]["successful"] != true {
			t.Fatalf("%s was answered %s %v", message, r.Status, answer)
		}
		return answer
	}
	id := send(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}`)[0]["clientId"]
	send(fmt.Sprintf(`{"channel":"/meta/subscribe","clientId":%q,"subscription":"/news"}`, id))
	answer := make(chan []map[string]any, 1)
	go func() {
		answer <- send(fmt.Sprintf(`{"channel":"/meta/connect","clientId":%q,"connectionType":"long-polling"}`, id))
	}()
	p.awaitLog(`msg=connected .*transport=bayeux`)
	metrics := servertest.Body(t, servertest.Get(t, admin+"/metrics"))
	if !strings.Contains(metrics, `comet_connects_total{transport="bayeux"} 1`) {
		t.Errorf("the metrics do not count the connect:\n%s", metrics)
	}
	send(fmt.Sprintf(`{"channel":"/news","clientId":%q,"data":"Hello"}`, id), "Traceparent", "00-"+traceID+"-00f067aa0ba902b7-01")
	if got := <-answer; len(got) != 2 || got[0]["data"] != "Hello" {
		t.Errorf("the connect was answered %v", got)
	}
	p.wantLeave()
	published := c.named("publish")
	if len(published) != 1 || published[0].attribute("comet.channel") != "news" {
		t.Fatalf("the publish has spans %v", published)
	}
	for _, name := range []string{"relay", "write"} {
		if len(c.named(name)) == 0 {
			var all []string
			for _, s := range c.spans {
				all = append(all, s.Name)
			}
			t.Errorf("there is no span %s, but %q", name, all)
		}
	}
}
