package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const password = "hunter2"

// leaks fails the test if text has a part of the password.
func leaks(t *testing.T, where, text string) {
	t.Helper()
	if strings.Contains(text, "hunter") {
		t.Errorf("%s gives the password away:\n%s", where, text)
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	l := mustLoad(t, Source{Environ: []string{redis, "COMET_REDIS_PASSWORD=" + password}})
	if l.Redis.Password.Reveal() != password {
		t.Fatal("the password got lost")
	}

	for _, verb := range strings.Split("v +v #v s q x X d o b c U t p e g", " ") {
		for _, value := range []any{l.Redis.Password, &l.Redis.Password, l.Settings, &l.Settings, l, *l} {
			leaks(t, "%"+verb, fmt.Sprintf("%"+verb, value))
		}
	}

	var b bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(handler).Info("settings", "password", l.Redis.Password, "all", l.Settings, "loaded", l)
	}
	leaks(t, "slog", b.String())

	asJSON, err := json.Marshal(l)
	if err != nil || !strings.Contains(string(asJSON), mask) {
		t.Errorf("JSON: %s, %v", asJSON, err)
	}
	leaks(t, "JSON", string(asJSON))
	asYAML, err := yaml.Marshal(l.Settings)
	if err != nil || !strings.Contains(string(asYAML), mask) {
		t.Errorf("YAML: %s, %v", asYAML, err)
	}
	leaks(t, "YAML", string(asYAML))

	leaks(t, "Values", fmt.Sprint(l.Values()))
	var out strings.Builder
	if err := l.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	leaks(t, "WriteYAML", out.String())
}

func TestErrorsGiveNoSecretAway(t *testing.T) {
	for _, content := range []string{
		"redis: {password: hunter2}",
		"redis: {addresses: [r:1], password: [hunter2]}",
		"redis: {addresses: [r:1], password: {a: hunter2}}",
		"redis: {addresses: [r:1], password: [hunter2, [hunter2]]}",
		"redis: {pasword: hunter2}",
		"redis: {pasword: [hunter2]}",
		"redis: hunter2",
		"rediss: {password: {x: hunter2}}",
		"redis: {addresses: ['redis://:hunter2@r:1']}",
		"redis: {addresses: 'rediss://r:1?password=hunter2'}",
		"redis: {addresses: [':hunter2@r:1']}",
		"redis: {addresses: ['hunter2@r:1']}",
		"redis: {addresses: 'redis://:x,hunter2,y@r:1'}",
		"http: {listen: 'http://me:hunter2@here:80'}",
		"auth: {jwt: {algorithms: [RS256], jwks_url: 'https://me:hunter2@here/keys'}}",
		"auth: {key_rules: ['backend:hunter2']}",
		"auth: {keys: [hunter2]}",
		"redis: {password: *hunter2}",
		"redis:\n  password: !hunter2 {",
		"redis:\n  password: \"hunter2\n",
		"redis:\n  password: a: hunter2",
		"redis:\n  password: @hunter2",
		"redis:\n  password: %hunter2",
		"redis:\n  password: 'hunter2' hunter2",
		"redis:\n  password: \"hunter2\\q\"",
		"redis: {password: hunter2}\n---\nredis: {password: *hunter2}",
	} {
		problems := loadProblems(t, Source{File: writeFile(t, "comet.yaml", content)})
		if problems == nil {
			t.Errorf("%q is valid", content)
		}
		leaks(t, content, problems.Error())
		for _, p := range problems {
			leaks(t, content, fmt.Sprintf("%#v", *p))
		}
	}
	for _, environ := range [][]string{
		{"COMET_REDIS_PASSWORD=hunter2"},
		{"COMET_REDIS_PASWORD=hunter2"},
		{redis, "COMET_REDIS_PASSWORD=hunter2", "COMET_REDIS_PASSWORD_FILE=gone"},
		{"COMET_REDIS_ADDRESSES=redis://:x,hunter2,y@r:1"},
	} {
		problems := loadProblems(t, Source{Environ: environ})
		if problems == nil {
			t.Errorf("%q is valid", environ)
		}
		leaks(t, environ[0], problems.Error())
	}
	leaks(t, "flag", loadProblems(t, Source{Flags: parseFlags(t, "--redis-password=hunter2")}).Error())
}

func TestEmptySecret(t *testing.T) {
	if got := fmt.Sprint(Secret{}); got != "" {
		t.Errorf("no password prints as %q", got)
	}
}
