package config

import (
	"slices"
	"strings"
	"testing"
)

// Every setting can be compared and copied.
func TestCopy(t *testing.T) {
	for key, text := range sample(t) {
		s := setting(key)
		old, other := mustLoad(t, Source{}).Settings, mustLoad(t, Source{}).Settings
		if !s.same(&old, &other) {
			t.Errorf("%s: differs from itself", key)
		}
		if err := s.set(&other, text); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if s.same(&old, &other) {
			t.Errorf("%s: %s is the same as the default", key, text)
		}
		if s.copy(&old, &other); !s.same(&old, &other) {
			t.Errorf("%s: was not copied", key)
		}
	}
}

// The lists of what reloads name only what there is.
func TestReloadableExists(t *testing.T) {
	for _, key := range slices.Concat(reloadable, fixed) {
		if _, isGroup := groupMember(key); !isKey(key) && !isGroup {
			t.Errorf("there is no setting or group %s", key)
		}
	}
	for _, key := range fixed {
		if setting(key).Reloads() {
			t.Errorf("%s reloads", key)
		}
	}
}

func TestReload(t *testing.T) {
	const keys = "backend:0123456789abcdef0123456789abcdef"
	running := mustLoad(t, Source{
		File:    writeFile(t, "old.yaml", "http: {listen: \"127.0.0.1:1\"}\nlimits: {message: 1KiB, header: 8KiB}\nauth: {anonymous: {subscribe: [a]}}\n"),
		Environ: []string{"COMET_AUTH_KEYS=" + keys},
	})
	next := mustLoad(t, Source{
		File:    writeFile(t, "new.yaml", "http: {listen: \"127.0.0.1:2\"}\nlimits: {message: 2KiB, header: 9KiB, batch: 1000}\nauth: {anonymous: {subscribe: [a, b]}}\n"),
		Environ: []string{"COMET_AUTH_KEYS=" + keys + "0"},
	})
	both, changes, err := running.Reload(next)
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{
		{"http.listen", "127.0.0.1:1", "127.0.0.1:2", false},
		{"auth.anonymous.subscribe", "a", "a,b", true},
		{"auth.keys", mask, mask, true},
		{"limits.message", "1KiB", "2KiB", true},
		{"limits.header", "8KiB", "9KiB", false},
	}
	if !slices.Equal(changes, want) {
		t.Errorf("changes %+v, want %+v", changes, want)
	}
	if both.HTTP.Listen != "127.0.0.1:1" || both.Limits.Message != 2<<10 || both.Limits.Header != 8<<10 || both.Auth.Keys.Reveal() != keys+"0" {
		t.Errorf("runs with %+v", both.Settings)
	}
	for _, v := range both.Values() {
		wantNew := v.Key == "limits.message"
		if wantOld := v.Key == "http.listen"; (wantNew || wantOld) && strings.Contains(v.Origin, "new.yaml") != wantNew {
			t.Errorf("%s is from %s", v.Key, v.Origin)
		}
	}
	if _, changes, err := both.Reload(next); err != nil || len(changes) != 2 || changes[0].Applied || changes[1].Applied {
		t.Errorf("again: %+v, %v; want just what needs a restart", changes, err)
	}
}

// A node that others can reach is not opened to everyone because it is to listen
// on loopback alone after its restart.
func TestReloadContradiction(t *testing.T) {
	running := mustLoad(t, Source{Environ: []string{"COMET_HTTP_LISTEN=:8080", "COMET_AUTH_ANONYMOUS_SUBSCRIBE=a"}})
	next := mustLoad(t, Source{Environ: []string{"COMET_HTTP_LISTEN=127.0.0.1:8080"}})
	both, _, err := running.Reload(next)
	if err == nil || both != nil || !strings.Contains(err.Error(), "http.listen") || !strings.Contains(err.Error(), "restarted") {
		t.Errorf("%v, %v", both, err)
	}
}

// The index logs of a rule with patterns are named by it, so it does not reload. Its
// history does.
func TestReloadPatterns(t *testing.T) {
	load := func(rules string) *Loaded {
		return mustLoad(t, Source{Environ: []string{"COMET_CHANNELS=" + rules}})
	}
	running := load(`[{match: "a/**", patterns: true}]`)
	for _, rules := range []string{`[{match: "a/**"}]`, `[{match: "a/**", patterns: true, index: 4}]`, `[{match: "a/*", patterns: true}]`, `[]`} {
		both, _, err := running.Reload(load(rules))
		if err == nil || both != nil || !strings.Contains(err.Error(), "restart all nodes") {
			t.Errorf("%s: %v", rules, err)
		}
	}
	if _, _, err := running.Reload(load(`[{match: b}, {match: "a/**", patterns: true, history: {size: 5}}]`)); err != nil {
		t.Error(err)
	}
}
