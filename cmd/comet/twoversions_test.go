package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"comet/client"
	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/redistest"
)

// version1 is the last commit whose messages are all of version 1: they have neither
// a sender nor tags, see pubsub/redisbroker/log_meta.go.
const version1 = "78654c5"

// buildVersion builds comet as it was at a commit. It skips the test in a clone without
// that commit.
func buildVersion(t *testing.T, commit string) (binary string) {
	t.Helper()
	if out, err := exec.Command("git", "rev-parse", "--verify", commit+"^{commit}").CombinedOutput(); err != nil {
		t.Skipf("commit %s is not here, because this is a shallow clone or none: %v %s", commit, err, out)
	}
	dir := t.TempDir()
	extract := exec.Command(testenv.Program(t, "sh"), "-c", `git -C "$(git rev-parse --show-toplevel)" archive --format=tar "$0" | tar -x -C "$1"`, commit, dir)
	if out, err := extract.CombinedOutput(); err != nil {
		t.Fatalf("extract %s: %v: %s", commit, err, out)
	}
	build := exec.Command("go", "build", "-trimpath", "-o", "comet-old", "./cmd/comet")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v: %s", commit, err, out)
	}
	return filepath.Join(dir, "comet-old")
}

// versionsNode is a node of a version, with a client for it.
type versionsNode struct {
	name, admin string
	client      *client.Client
}

func startVersionsNode(t *testing.T, name, binary, token string, args []string) *versionsNode {
	t.Helper()
	p, url := setup{binary: binary}.startNode(t, append(args, "--admin-listen", "127.0.0.1:0", "--node", name)...)
	c, err := client.New(client.Options{URLs: []string{url}, Token: func(context.Context) (string, error) { return token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return &versionsNode{name: name, admin: p.awaitErr(`msg=serving .*admin=(\S+)`)[1], client: c}
}

// collect subscribes and calls ready. It returns the messages up to the one with the data
// last, and the cursor after it.
func (n *versionsNode) collect(t *testing.T, o client.SubscribeOptions, ready func(), last string) (got []*pubsub.Message, cursor string) {
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	defer cancel()
	begun := sync.OnceFunc(ready)
	for e, err := range n.client.Subscribe(ctx, o) {
		switch {
		case err != nil:
			t.Errorf("%s: %v after %d messages", n.name, err, len(got))
			begun()
			return got, cursor
		case e.Kind == wire.KindReady:
			begun()
		case e.Kind == wire.KindGap:
			t.Errorf("%s: a gap %+v", n.name, e.Gap)
		case e.Kind == wire.KindMessage:
			if got = append(got, e.Message); string(e.Message.Data) == last {
				return got, e.Cursor
			}
		}
	}
	return got, cursor
}

// foreign is how many entries of the relay the node took for no messages.
func (n *versionsNode) foreign(t *testing.T) string {
	t.Helper()
	text, err := io.ReadAll(servertest.Get(t, n.admin+"/metrics").Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`comet_foreign_data_total\{in="relay"\} (\S+)`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no metric of foreign data", n.name)
	}
	return string(found[1])
}

// TestTwoVersions runs a node of version 1 of messages beside one of this version, on one
// Redis, as in a rollout. Each message of either, with a sender and tags or without,
// comes to the subscribers of both, once and in order and with its own data, also the
// first one of a channel, large ones and ephemeral ones. Cursors go on at the other node.
func TestTwoVersions(t *testing.T) {
	testenv.Large(t)
	redis := redistest.Start(t, redistest.TCP)
	args := servertest.GuardedFlags(t, "--redis-addresses", redis.Addr())
	token := servertest.Token(t, "alice", 0)
	nodes := []*versionsNode{
		startVersionsNode(t, "old", buildVersion(t, version1), token, args),
		startVersionsNode(t, "new", "", token, args),
	}
	tags, err := pubsub.NewTags(map[string]string{"room": "42"})
	if err != nil {
		t.Fatal(err)
	}
	draft := func(channel string, i int) pubsub.Draft {
		d := pubsub.Draft{Channel: channel, Data: fmt.Append(nil, i)}
		switch i % 5 {
		case 1:
			d.Tags = tags
		case 2:
			d.Data = fmt.Appendf(nil, `{"n":%d,"large":"%s"}`, i, strings.Repeat("x", 20<<10))
		case 3:
			d.Type, d.Data = "x/y", fmt.Appendf(nil, `[%d,"]\"",{"a":null}]`, i)
		}
		return d
	}
	var drafts []pubsub.Draft
	const channels, messages = 20, 15
	for i := range channels * messages {
		drafts = append(drafts, draft(fmt.Sprint("c", i%channels), i))
	}
	// Each channel has a subscriber at each node before it has a message.
	got := make([][2][]*pubsub.Message, channels)
	var cursors [channels][2]string
	var subscribed, done sync.WaitGroup
	for c := range channels {
		for n, node := range nodes {
			subscribed.Add(1)
			done.Go(func() {
				got[c][n], cursors[c][n] = node.collect(t, client.SubscribeOptions{Channels: []string{fmt.Sprint("c", c)}, Poll: c%4 == 3}, subscribed.Done, `"end"`)
			})
		}
	}
	subscribed.Wait()
	for i, d := range drafts {
		d.Tags = pubsub.Tags{}
		node := nodes[i/channels%2]
		if node.name == "new" {
			d.Tags = drafts[i].Tags
		}
		if _, err := node.client.Publish(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for c := range channels {
		if _, err := nodes[1].client.Publish(t.Context(), pubsub.Draft{Channel: fmt.Sprint("c", c), Data: []byte(`"end"`)}); err != nil {
			t.Fatal(err)
		}
	}
	done.Wait()
	for c := range channels {
		for n, node := range nodes {
			wantVersions(t, node.name, got[c][n], c, drafts, channels)
		}
	}
	// No payload of the relay was foreign, so that no message waited for a sweep.
	for _, node := range nodes {
		if foreign := node.foreign(t); foreign != "0" {
			t.Errorf("%s took %s payloads for foreign", node.name, foreign)
		}
	}
	t.Run("cursors", func(t *testing.T) { versionsCursors(t, nodes, cursors[0]) })
	t.Run("ephemeral", func(t *testing.T) { versionsEphemeral(t, nodes, tags) })
	t.Run("keys", func(t *testing.T) { versionsKeys(t, nodes, tags) })
}

// wantVersions checks what a subscriber of a channel got: the drafts that were published
// there, and an end.
func wantVersions(t *testing.T, node string, got []*pubsub.Message, channel int, drafts []pubsub.Draft, channels int) {
	t.Helper()
	var want []pubsub.Draft
	for i := channel; i < len(drafts); i += channels {
		want = append(want, drafts[i])
	}
	if len(got) != len(want)+1 {
		t.Errorf("%s, channel %d: %d messages, want %d", node, channel, len(got), len(want)+1)
		return
	}
	for i, d := range want {
		m := got[i]
		from, tags := "", pubsub.Tags{}
		if i%2 == 1 && node == "new" { // published at the new node
			from, tags = "alice", d.Tags
		}
		if string(m.Data) != string(d.Data) || d.Type != "" && m.Type != d.Type || m.From != from || m.Tags != tags {
			t.Errorf("%s, channel %d: message %d is %.60s from %q with tags %v, want %.60s from %q with %v",
				node, channel, i, m.Data, m.From, m.Tags.Map(), d.Data, from, tags.Map())
		}
	}
}

// versionsCursors checks that a client goes on at the node of the other version.
func versionsCursors(t *testing.T, nodes []*versionsNode, cursors [2]string) {
	for n, node := range nodes {
		if _, err := node.client.Publish(t.Context(), pubsub.Draft{Channel: "c0", Data: []byte(`"more"`)}); err != nil {
			t.Fatal(err)
		}
		got, _ := nodes[1-n].collect(t, client.SubscribeOptions{Channels: []string{"c0"}, Cursor: cursors[n]}, func() {}, `"more"`)
		if len(got) == 0 {
			t.Errorf("after a cursor of %s: nothing", node.name)
		}
	}
}

// versionsEphemeral checks that ephemeral messages of either node come to both, once.
func versionsEphemeral(t *testing.T, nodes []*versionsNode, tags pubsub.Tags) {
	var got [2][]*pubsub.Message
	var subscribed, done sync.WaitGroup
	for n, node := range nodes {
		subscribed.Add(1)
		done.Go(func() {
			got[n], _ = node.collect(t, client.SubscribeOptions{Channels: []string{"e"}}, subscribed.Done, `"end"`)
		})
	}
	subscribed.Wait()
	typing := pubsub.Draft{Channel: "e", Type: "typing", Data: []byte(`"alice"`), Ephemeral: true}
	tagged := typing
	tagged.Tags = tags
	if _, err := nodes[0].client.Publish(t.Context(), typing); err != nil {
		t.Error(err)
	}
	if _, err := nodes[1].client.Publish(t.Context(), tagged); err != nil {
		t.Error(err)
	}
	if _, err := nodes[1].client.PublishBatch(t.Context(), []pubsub.Draft{tagged, typing}); err != nil {
		t.Error(err)
	}
	if _, err := nodes[0].client.Publish(t.Context(), pubsub.Draft{Channel: "e", Data: []byte(`"end"`)}); err != nil {
		t.Error(err)
	}
	done.Wait()
	for n, node := range nodes {
		var senders []string
		for _, m := range got[n] {
			senders = append(senders, m.From)
		}
		want := []string{"", "", "", "", ""}
		if node.name == "new" {
			want = []string{"", "alice", "alice", "alice", ""}
		}
		if !slices.Equal(senders, want) {
			t.Errorf("%s: messages from %q, want %q", node.name, senders, want)
		}
	}
}

// versionsKeys checks that a repeat is recognized at the node of the other version.
func versionsKeys(t *testing.T, nodes []*versionsNode, tags pubsub.Tags) {
	d := pubsub.Draft{Channel: "k", Data: []byte("1"), Key: "k"}
	first, err := nodes[0].client.Publish(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := nodes[1].client.Publish(t.Context(), d); err != nil || !again.Duplicate || again.ID != first.ID {
		t.Errorf("repeated: %+v, %v; want a duplicate of %s", again, err, first.ID)
	}
	d.Tags = tags
	if r, err := nodes[1].client.Publish(t.Context(), d); !errors.Is(err, pubsub.ErrKeyReused) {
		t.Errorf("with tags: %+v, %v", r, err)
	}
}
