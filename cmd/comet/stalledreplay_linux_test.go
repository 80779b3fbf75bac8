package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/internal/servertest"
	"comet/internal/testenv"
	"comet/pubsub/redistest"
)

// TestThousandStalledReplays has a thousand clients of eight addresses resume from a
// log of 60 MB and not read. The node stays below 300 MiB and still delivers.
func TestThousandStalledReplays(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	const clients, limit = 1000, 300 << 20
	redis := redistest.Start(t, redistest.TCP)
	_, url, admin := startNodeWithAdmin(t, "--redis-addresses", redis.Addr())
	body := strings.Repeat("x", 60_000)
	var publishing sync.WaitGroup
	for range 4 {
		publishing.Go(func() {
			for range 250 {
				status := http.StatusServiceUnavailable // a busy machine may take more than redis.timeout
				for late := time.Now().Add(deadline); status == http.StatusServiceUnavailable && time.Now().Before(late); {
					status = servertest.Ask(t, http.MethodPost, url+"/v1/channels/big/messages", body, "Content-Type", "text/plain").StatusCode
				}
				if status != http.StatusCreated {
					t.Error(status)
				}
			}
		})
	}
	publishing.Wait()
	events, _ := servertest.OpenStream(t, url+"/v1/events?channel=news")
	host := strings.TrimPrefix(url, "http://")
	for i := range clients {
		from := "cursor=earliest"
		if i%50 == 0 {
			from = "last=1000"
		}
		fmt.Fprintf(dialSmall(t, fmt.Sprintf("127.0.1.%d", i%8), host), "GET /v1/events?channel=big&%s HTTP/1.1\r\nHost: h\r\n\r\n", from)
	}
	delivered := 0
	for late := time.Now().Add(deadline); delivered < 100; {
		// With the key, what a 503 left undecided is not published twice.
		r := servertest.Ask(t, http.MethodPost, url+"/v1/channels/news/messages", strconv.Itoa(delivered), "Content-Type", "text/plain", "Idempotency-Key", strconv.Itoa(delivered))
		if r.StatusCode == http.StatusServiceUnavailable && time.Now().Before(late) {
			continue // Redis and two cores have much to do
		}
		if e := servertest.NextEvent(t, events); e.Message == nil || string(e.Message.Data) != strconv.Quote(strconv.Itoa(delivered)) {
			t.Fatalf("got %+v, want message %d", e, delivered)
		}
		delivered++
	}
	most := runtimeMemory(t, admin)
	t.Logf("%d MiB at most", most>>20)
	if most > limit {
		t.Errorf("%d MiB, want at most %d", most>>20, limit>>20)
	}
}

var runtimeLine = regexp.MustCompile(`(?m)^go_memstats_sys_bytes (\S+)$`)

// runtimeMemory returns the most bytes that a node's Go runtime has had from the
// system. It does not count the memory of the race detector, several times as much.
func runtimeMemory(t *testing.T, admin string) int {
	t.Helper()
	body, err := io.ReadAll(servertest.Get(t, admin+"/metrics").Body)
	if err != nil {
		t.Fatal(err)
	}
	found := runtimeLine.FindSubmatch(body)
	if found == nil {
		t.Fatal("no go_memstats_sys_bytes")
	}
	bytes, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(bytes)
}
