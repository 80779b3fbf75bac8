package redisbroker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// The password changes in Redis and in the file that it is read from, and then all
// connections end.
func TestPasswordChanges(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	write := func(password string) {
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	server := redistest.Start(t, redistest.User("comet", "old", "+@all", "~*", "&*"))
	options := at(server.Addr())
	options.Username, options.Password = "comet", func() (string, error) {
		password, err := os.ReadFile(file)
		return string(password), err
	}
	c := newHarness(t, options)
	c.listen("a")
	c.flood("a")
	c.awaitMore(50)
	server.Do("ACL", "SETUSER", "comet", "resetpass", ">new")
	server.Do("CLIENT", "KILL", "USER", "comet")
	c.awaitReady(0, false)
	write("new")
	c.awaitReady(0, true)
	c.awaitMore(50)
	c.drain()
	c.verify()
}

// Each ACL rule is needed: without one, Check reports it at once.
func TestCheckRules(t *testing.T) {
	t.Parallel()
	rules := redisbroker.ACLRules()
	server := redistest.Start(t, redistest.User("comet", "secret", "-@all"))
	options := at(server.Addr())
	asUser(&options)
	check := func(rules ...string) error {
		args := []any{"ACL", "SETUSER", "comet", "reset", "on", ">secret"}
		for _, rule := range rules {
			args = append(args, rule)
		}
		server.Do(args...)
		b := newBroker(t, options)
		defer b.Close()
		return b.Check(t.Context())
	}
	all := append([]string{"-@all", "~comet:*", "&comet:*"}, rules...)
	if err := check(all...); err != nil {
		t.Errorf("with all rules: %v", err)
	}
	for i, rule := range all {
		if strings.HasPrefix(rule, "-") || strings.HasPrefix(rule, "+cluster") || rule == "+@connection" {
			continue
		}
		less := append(append([]string{}, all[:i]...), all[i+1:]...)
		if _, ok := errors.AsType[*redisbroker.RefusedError](check(less...)); !ok {
			t.Errorf("without %s: %v, want a RefusedError", rule, check(less...))
		}
	}
}

// A Redis that cannot work is refused at the start, with how to fix it.
func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.TCP, redistest.Password("secret"))
	cluster := redistest.Start(t, redistest.TCP, redistest.Args("--cluster-enabled", "yes"))
	secret := func(password string) func() (string, error) {
		return func() (string, error) { return password, nil }
	}
	for name, test := range map[string]struct {
		options redisbroker.Options
		want    string
	}{
		"no password":    {at(server.Addr()), "redis.password"},
		"wrong password": {redisbroker.Options{Addresses: []string{server.Addr()}, Password: secret("x")}, "does not accept"},
		"cluster node":   {at(cluster.Addr()), "redis.cluster"},
	} {
		b := newBroker(t, test.options)
		err := b.Check(t.Context())
		if _, ok := errors.AsType[*redisbroker.RefusedError](err); !ok || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want a RefusedError with %q", name, err, test.want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	away := newBroker(t, at("127.0.0.1:1"))
	defer away.Close()
	if err := away.Check(t.Context()); !errors.Is(err, pubsub.ErrUnavailable) {
		t.Errorf("no server: %v, want ErrUnavailable", err)
	}
}
