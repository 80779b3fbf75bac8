package main

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"syscall"
	"testing"

	"comet/internal/servertest"
)

func TestSubscribe(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	publishLines(t, numbers(1, 5), "numbers", url)
	runToEnd(t, "publish", "letters", `{"a": "b"}`, "--json", "--url", url).wantExit(exitOK)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"from the earliest": {[]string{"numbers", "--cursor", "earliest", "--count", "2"}, "1\n2\n"},
		"the last":          {[]string{"numbers", "--last", "2", "--count", "2"}, "4\n5\n"},
		"data, not text":    {[]string{"letters", "--last", "1", "--count", "1"}, `{"a":"b"}` + "\n"},
		"several channels":  {[]string{"letters", "quiet", "--last", "1", "--count", "1"}, `letters: {"a":"b"}` + "\n"},
	} {
		for way, flags := range waysToSubscribe {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				p := runToEnd(t, slices.Concat([]string{"subscribe", "--url", url}, flags, test.args)...)
				p.wantExit(exitOK)
				p.wantOut(test.want)
				p.wantErrOut(0)
			})
		}
	}
}

// TestSubscribeJSON resumes after the printed ID of a message.
func TestSubscribeJSON(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	publishLines(t, numbers(1, 3), "numbers", url)
	first := runToEnd(t, "subscribe", "numbers", "--url", url, "--cursor", "earliest", "--json", "--count", "1")
	var message struct{ ID, Channel, Type, Data, Time string }
	if err := json.Unmarshal([]byte(first.out.String()), &message); err != nil {
		t.Fatal(err)
	}
	if message.Channel != "numbers" || message.Type != "message" || message.Data != "1" || message.Time == "" {
		t.Errorf("the first message is %+v", message)
	}
	rest := runToEnd(t, "subscribe", "numbers", "--url", url, "--cursor", message.ID, "--count", "2")
	rest.wantExit(exitOK)
	rest.wantOut(numbers(2, 3))
}

// TestSubscribeFrom prints senders and tags where they are wanted.
func TestSubscribeFrom(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, servertest.GuardedFlags(t)...)
	as := func(token string) setup {
		return setup{environ: []string{urlVariable + "=" + url, "COMET_TOKEN=" + token}}
	}
	alice, backend := as(servertest.Token(t, "alice", 0)), as(servertest.BackendKey)
	alice.runToEnd(t, "publish", "news", "one", "--tag", "room:42", "--tag", "lang:de").wantExit(exitOK)
	backend.runToEnd(t, "publish", "news", "two").wantExit(exitOK)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"plain":            {nil, "one\ntwo\n"},
		"senders":          {[]string{"--from"}, "alice: one\nkey:backend: two\n"},
		"tags":             {[]string{"--tags"}, "one [lang:de room:42]\ntwo\n"},
		"several channels": {[]string{"quiet", "--from", "--tags"}, "news: alice: one [lang:de room:42]\nnews: key:backend: two\n"},
		"others":           {[]string{"--from", "--skip-self", "--count", "1"}, "key:backend: two\n"},
	} {
		for way, flags := range waysToSubscribe {
			p := alice.runToEnd(t, slices.Concat([]string{"subscribe", "news", "--cursor", "earliest", "--count", "2"}, flags, test.args)...)
			p.wantExit(exitOK)
			if got := p.out.String(); got != test.want {
				t.Errorf("%s, %s: got %q, want %q", name, way, got, test.want)
			}
		}
	}
	alice.runToEnd(t, "subscribe", "news", "--last", "2", "--count", "1", "--json").awaitOut(`"from":"alice","tags":{"lang":"de","room":"42"}}`)
	for tag, want := range map[string]string{"room": `--tag must be name:value.* "room" has no colon`, ":1": "--tag must each have a name", "a b:1": "--tag must have names of letters"} {
		p := alice.runToEnd(t, "publish", "news", "x", "--tag", tag)
		p.wantExit(exitUsage)
		p.awaitErr(want)
	}
	setup{environ: []string{urlVariable + "=" + url}}.runToEnd(t, "subscribe", "news", "--skip-self").wantExit(exitFailure)
}

// TestSubscribeGap resumes from a cursor whose next messages were trimmed.
func TestSubscribeGap(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, "--history-size", "2")
	publishLines(t, numbers(1, 9), "numbers", url)
	args := []string{"subscribe", "numbers", "--url", url, "--cursor", "1-1", "--count", "1"}
	forPeople := runToEnd(t, args...)
	forPeople.wantExit(exitOK)
	forPeople.wantErrOut(1, `^comet: messages of numbers may be missing \(`)
	asJSON := runToEnd(t, append(args, "--json")...)
	asJSON.wantErrOut(0)
	asJSON.awaitOut(`(?m)^{.*gap.*}\n{.*"data":"\d"`)
}

func TestSubscribeRefused(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	for way, flags := range waysToSubscribe {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			p := runToEnd(t, append([]string{"subscribe", "news", "--url", url, "--cursor", "nonsense"}, flags...)...)
			p.wantExit(exitFailure)
			p.wantOut("")
			p.wantErrOut(1, `^comet: subscribe: 400 Invalid cursor: .*earliest`)
		})
	}
}

func TestSubscribeInterrupted(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	publishLines(t, numbers(1, 1), "numbers", url)
	for way, flags := range waysToSubscribe {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			p := start(t, append([]string{"subscribe", "numbers", "--url", url, "--last", "1"}, flags...)...)
			p.awaitOut("1\n")
			p.signal(syscall.SIGINT)
			p.wantExit(exitInterrupted)
			p.wantErrOut(0)
		})
	}
}

// TestSubscribeReaderGone is `comet subscribe … | head -1`.
func TestSubscribeReaderGone(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	publishLines(t, numbers(1, 1), "numbers", url)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := setup{out: writer}.start(t, "subscribe", "numbers", "--url", url, "--last", "1")
	_ = writer.Close() // the process has its own
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil || line != "1\n" {
		t.Errorf("read %q, %v", line, err)
	}
	_ = reader.Close()
	publishLines(t, numbers(2, 2), "numbers", url) // it notices when it writes
	if code := p.wait(); code == exitOK {
		t.Error("exit code 0, but not everything was written")
	}
	p.wantErrOut(0)
}
