package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"comet/internal/testenv"
)

// decoders are programs that write the decoded body of a URL, their last argument, to
// their output as it comes. They fail if the body is not whole.
var decoders = map[string][]string{
	"curl": {"curl", "--silent", "--show-error", "--fail", "--no-buffer", "--compressed"},
	"python": {"python3", "-c", `
import http.client, sys, urllib.parse, zlib
u = urllib.parse.urlsplit(sys.argv[1])
c = http.client.HTTPConnection(u.netloc)
c.request("GET", u.path + "?" + u.query, headers={"Accept-Encoding": "gzip"})
r = c.getresponse()
assert r.getheader("Content-Encoding") == "gzip"
d = zlib.decompressobj(wbits=31)
while b := r.read1(65536):
    sys.stdout.buffer.write(d.decompress(b))
    sys.stdout.buffer.flush()
assert d.eof and not d.unused_data`},
	"node": {"node", "-e", `
const write = async () => {
	const r = await fetch(process.argv[1], {headers: {"Accept-Encoding": "gzip"}})
	if (r.headers.get("Content-Encoding") != "gzip") throw "not compressed"
	for await (const b of r.body) process.stdout.write(b)
}
write().catch(e => { console.error(e); process.exit(1) })`},
}

// decoder is a running program of decoders.
type decoder struct {
	name   string
	run    *exec.Cmd
	errors bytes.Buffer
	lines  *bufio.Reader
	number int // of the newest message; 0: none
}

// await reads until a line has text, and checks that the messages follow each other.
func (v *decoder) await(t *testing.T, text string) {
	t.Helper()
	for {
		line, err := v.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: waiting for %q: %v", v.name, text, err)
		}
		if _, after, found := strings.Cut(line, `"n":`); found {
			var number int
			if _, err := fmt.Sscan(strings.TrimSuffix(strings.SplitN(after, ",", 2)[0], ","), &number); err != nil || v.number > 0 && number != v.number+1 {
				t.Fatalf("%s: %q after message %d, %v", v.name, line, v.number, err)
			}
			v.number = number
		}
		if strings.Contains(line, text) {
			return
		}
	}
}

// Programs in other languages decode compressed streams, each message as it comes,
// wherever they join, to a right end.
func TestOtherDecoders(t *testing.T) {
	testenv.Large(t)
	t.Parallel()
	const joins = 8
	c := overMemory(t, compressing)
	n := c.nodes[0]
	var clients []*decoder
	published := 0
	publish := func() {
		published++
		c.publish("c", fmt.Sprintf(`{"symbol":"EURUSD","n":%d,"bid":1.0%d}`, published, published*7919%10000))
	}
	for range joins {
		for name, command := range decoders {
			v := &decoder{name: name, run: exec.CommandContext(t.Context(), testenv.Program(t, command[0]), append(command[1:], n.url+"/v1/events?channel=c")...)}
			v.run.Stderr = &v.errors
			out, err := v.run.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := v.run.Start(); err != nil {
				t.Fatal(err)
			}
			v.lines = bufio.NewReader(out)
			clients = append(clients, v)
			v.await(t, "comet.ready")
			publish()
		}
		for range 20 {
			publish()
		}
		for _, v := range clients {
			v.await(t, fmt.Sprintf(`"n":%d,`, published))
		}
	}
	n.gateway.Drain(0)
	for _, v := range clients {
		v.await(t, "shutdown")
		if err := v.run.Wait(); err != nil {
			t.Errorf("%s: %v: %s", v.name, err, v.errors.Bytes())
		}
	}
}
