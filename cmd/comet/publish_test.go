package main

import (
	"io"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const idLine = `(\d+-\d+)\n`

func TestPublish(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, "--limits-message", "100B")
	for name, test := range map[string]struct {
		args  []string
		stdin string
		out   string   // pattern of all of it
		kept  []string // patterns of what subscribe --json then prints
	}{
		"text": {
			args: []string{"Hello, World!"}, out: idLine,
			kept: []string{`"type":"message","data":"Hello, World!"`},
		},
		"text that looks like JSON": {
			args: []string{"42"}, out: idLine,
			kept: []string{`"data":"42"`},
		},
		"JSON and type": {
			args: []string{`{ "eur": 1.09 }`, "--json", "--type", "price"}, out: idLine,
			kept: []string{`"type":"price","data":{"eur":1.09}`},
		},
		"standard input": {
			stdin: "one\n\n  \ntwo\r\n three\nfour", out: idLine + idLine + idLine + idLine,
			kept: []string{`"data":"one"`, `"data":"two"`, `"data":" three"`, `"data":"four"`},
		},
		"standard input of JSON": {
			stdin: "1\n[2]\n", args: []string{"--json"}, out: idLine + idLine,
			kept: []string{`"data":1,`, `"data":\[2\]`},
		},
		"empty standard input": {out: ``},
		"ephemeral":            {args: []string{"typing", "--ephemeral"}, out: ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := setup{in: strings.NewReader(test.stdin)}.runToEnd(t, append([]string{"publish", name, "--url", url}, test.args...)...)
			p.wantExit(exitOK)
			p.wantErrOut(0)
			if !regexp.MustCompile("^" + test.out + "$").MatchString(p.out.String()) {
				t.Errorf("standard output %q", p.out)
			}
			// The last message marks the end of the others.
			runToEnd(t, "publish", name, "the end", "--url", url).wantExit(exitOK)
			count := len(test.kept) + 1
			kept := runToEnd(t, "subscribe", name, "--url", url, "--cursor", "earliest", "--json", "--count", strconv.Itoa(count))
			lines := strings.Split(kept.out.String(), "\n")
			for i, want := range append(test.kept, `"data":"the end"`) {
				if !regexp.MustCompile(want).MatchString(lines[i]) {
					t.Errorf("message %d is %s, want %s", i+1, lines[i], want)
				}
			}
		})
	}
}

func TestPublishKey(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	first := runToEnd(t, "publish", "news", "once", "--key", "k", "--url", url)
	second := runToEnd(t, "publish", "news", "once", "--key", "k", "--url", url)
	second.wantExit(exitOK)
	second.wantOut(first.out.String())
}

func TestPublishFails(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, "--limits-message", "100B")
	for name, test := range map[string]struct {
		args    []string
		stdin   string
		printed int // IDs, before it fails
		want    string
	}{
		"bad JSON":       {args: []string{"news", "{x", "--json"}, want: `not one valid JSON value`},
		"bad channel":    {args: []string{"{news}", "x"}, want: `channel must not contain`},
		"bad type":       {args: []string{"news", "x", "--type", "a b"}, want: `type must be`},
		"problem":        {args: []string{"news", strings.Repeat("x", 101)}, want: `413 Too large: .*\(limits\.message\)`},
		"bad JSON line":  {args: []string{"news", "--json"}, stdin: "1\n\n{\n4", printed: 1, want: `line 3: .*JSON`},
		"problem line":   {args: []string{"news"}, stdin: "1\n2\n" + strings.Repeat("x", 101), printed: 2, want: `line 3: .*413`},
		"too long, line": {args: []string{"news"}, stdin: "1\n" + strings.Repeat("x", maxLine+1), printed: 1, want: `line 2 is longer than`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := setup{
				environ: []string{urlVariable + "=" + url},
				in:      strings.NewReader(test.stdin),
			}.runToEnd(t, append([]string{"publish"}, test.args...)...)
			p.wantExit(exitFailure)
			p.wantErrOut(1, `^comet: .*`+test.want)
			if printed := strings.Count(p.out.String(), "\n"); printed != test.printed {
				t.Errorf("it printed %d IDs, want %d", printed, test.printed)
			}
		})
	}
}

// deadURL is a URL on which nothing listens.
const deadURL = "http://127.0.0.1:1"

func TestPublishServerAway(t *testing.T) {
	t.Parallel()
	p := runToEnd(t, "publish", "news", "x", "--url", deadURL, "--timeout", "3s")
	p.wantExit(exitFailure)
	p.wantOut("")
	p.wantErrOut(2, `^comet: no node listens at `+deadURL+`; trying again for up to 3s, Ctrl-C ends it\n`, `\ncomet: publish "news": .*refused.*\n$`)
}

// Trying again cannot help if a node has no TLS.
func TestPublishSchemeMismatch(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	p := runToEnd(t, "publish", "news", "x", "--url", strings.Replace(url, "http:", "https:", 1))
	p.wantExit(exitFailure)
	p.wantErrOut(1, `^comet: publish "news": .*HTTP response to HTTPS client`)
}

func TestPublishInterrupted(t *testing.T) {
	t.Parallel()
	t.Run("while trying", func(t *testing.T) {
		t.Parallel()
		p := start(t, "publish", "news", "x", "--url", deadURL)
		p.awaitErr(`trying again`)
		p.signal(syscall.SIGINT)
		p.wantExit(exitInterrupted)
	})
	t.Run("while reading", func(t *testing.T) {
		t.Parallel()
		_, url := startNode(t)
		in, typist, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		defer typist.Close() // not before: the process must end without an end of its input
		p := setup{in: in}.start(t, "publish", "news", "--url", url)
		if _, err := io.WriteString(typist, "a line\n"); err != nil {
			t.Fatal(err)
		}
		p.awaitOut(idLine)
		p.signal(syscall.SIGINT)
		p.wantExit(exitInterrupted)
	})
}

// TestOutputFull writes to a full device.
func TestOutputFull(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	_, url := startNode(t)
	for _, args := range [][]string{
		{"publish", "news", "x"},
		{"subscribe", "news", "--cursor", "earliest"},
		{"subscribe", "news", "--cursor", "earliest", "--json"},
	} {
		p := setup{out: full}.runToEnd(t, append(args, "--url", url)...)
		p.wantExit(exitFailure)
		p.wantErrOut(1, `^comet: .*no space left`)
	}
}
