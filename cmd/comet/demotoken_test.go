package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"comet/internal/servertest"
)

// demoToken returns a token of the desk for name.
func demoToken(t *testing.T, front, name string) string {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"name": name})
	response := servertest.Ask(t, http.MethodPost, front+demoTokenPath, string(body))
	var answer struct{ Token string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("a token for %q: %s, %v", name, response.Status, err)
	}
	return answer.Token
}

// TestDemoToken checks that a token of the demo opens all rooms, and only the direct
// conversations of its user.
func TestDemoToken(t *testing.T) {
	t.Parallel()
	front := startDemo(t)
	ada, noAda := demoToken(t, front, "ada"), demoToken(t, front, "noada")
	for _, test := range []struct {
		token, method, path string
		want                int
	}{
		{ada, http.MethodPost, "chat/lobby/messages", 201},
		{ada, http.MethodGet, "chat/lobby/presence", 200},
		{ada, http.MethodPost, "dm/ada~bob/messages", 201},
		{ada, http.MethodGet, "dm/aaron~ada/messages", 200},
		{ada, http.MethodPost, "inbox/bob/messages", 201},
		{ada, http.MethodGet, "inbox/ada/messages", 200},
		{ada, http.MethodGet, "inbox/bob/messages", 403},
		{ada, http.MethodGet, "dm/bob~carol/messages", 403},
		{ada, http.MethodPost, "secret/messages", 403},
		{noAda, http.MethodGet, "dm/ada~bob/messages", 403},
		{noAda, http.MethodGet, "dm/bob~ada/messages", 403},
		{"", http.MethodPost, "chat/lobby/messages", 201},
		{"", http.MethodPost, "news/messages", 201},
		{"", http.MethodGet, "dm/ada~bob/messages", 401},
		{"", http.MethodPost, "inbox/bob/messages", 401},
	} {
		var header []string
		if test.token != "" {
			header = servertest.Bearer(test.token)
		}
		if got := servertest.Ask(t, test.method, front+"/v1/channels/"+test.path, "", header...).StatusCode; got != test.want {
			t.Errorf("%s %s as %q: status %d, want %d", test.method, test.path, test.token, got, test.want)
		}
	}
}

func TestDemoTokenRefused(t *testing.T) {
	t.Parallel()
	front := startDemo(t)
	for _, name := range []string{"a", "Ada Lovelace", "größe", "李", "o.k-_1", "O'Brien", "D’Arcy", "alice@example.com", strings.Repeat("a", 32)} {
		demoToken(t, front, name)
	}
	for body, want := range map[string]string{
		``:                    `must be JSON`,
		`{"name": 1}`:         `must be JSON`,
		`{}`:                  `A name is`,
		`{"name": " a"}`:      `A name is`,
		`{"name": "a "}`:      `A name is`,
		`{"name": "a/b"}`:     `A name is`,
		`{"name": "a~b"}`:     `A name is`,
		`{"name": "*"}`:       `A name is`,
		`{"name": "a*"}`:      `A name is`,
		`{"name": "a{b}"}`:    `A name is`,
		`{"name": "a\u0000"}`: `A name is`,
		`{"name": "` + strings.Repeat("a", 33) + `"}`:   `A name is`,
		`{"name": "` + strings.Repeat("𠀀", 32) + `"}`:   `A name is`,
		`{"name": "` + strings.Repeat("a", 2000) + `"}`: `must be JSON`,
	} {
		response := servertest.Ask(t, http.MethodPost, front+demoTokenPath, body)
		if text := servertest.Body(t, response); response.StatusCode != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("%.60s: %s %s, want 400 and %q", body, response.Status, text, want)
		}
	}
	if got := servertest.Get(t, front+demoTokenPath); got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != http.MethodPost {
		t.Errorf("GET: %s, Allow: %q", got.Status, got.Header.Get("Allow"))
	}
	elsewhere := servertest.Ask(t, http.MethodPost, front+demoTokenPath, `{"name": "ada"}`, "Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site")
	if elsewhere.StatusCode != http.StatusForbidden {
		t.Errorf("for a page of another origin: %s, want 403", elsewhere.Status)
	}
	if _, url := startNode(t); servertest.Ask(t, http.MethodPost, url+demoTokenPath, `{"name": "ada"}`).StatusCode != http.StatusNotFound {
		t.Error("`comet serve` has a desk")
	}
}
