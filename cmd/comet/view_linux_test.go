package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comet/bench"
	"comet/pubsub/cluster"
)

func deliveries(r *cluster.Report) int64 { return r.Deliveries.Total }
func publishes(r *cluster.Report) int64  { return r.Publishes.Total }
func written(r *cluster.Report) int64    { return r.Bytes.Total }

// TestViewAgreesWithBench checks that the reports of the nodes agree with the counts
// of a load test: subscribers exactly, by channel too, and deliveries and publishes
// in total.
func TestViewAgreesWithBench(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"sse", "poll"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 3)
			file := filepath.Join(t.TempDir(), "result.json")
			run := start(t, "bench", "run", "--nodes", strings.Join(c.urls, ","), "--subscribers", "60", "--channels", "4",
				"--transport", transport, "--settle", "6s", "--rate", "50", "--duration", "2s", "--json", file)
			all := awaitReports(t, c.admins[0], "60 subscribers", func(all []cluster.Report) bool { return total(all, streams) == 60 })
			before := total(all, publishes) // messages between nodes that start
			if got := total(all, func(r *cluster.Report) int64 { return r.Connections.By[transport] }); got != 60 {
				t.Errorf("%d of 60 subscribers are by %s", got, transport)
			}
			for _, admin := range c.admins {
				found := askJSON[cluster.ChannelList](t, admin+"/v1/channels")
				sum := 0
				for _, channel := range found.Channels {
					sum += channel.Subscribers
				}
				if sum != 60 || len(found.Channels) != 4 || !found.Complete {
					t.Errorf("%d subscribers in %+v", sum, found)
				}
			}
			run.wantExit(exitOK)
			var r bench.Result
			if err := json.Unmarshal([]byte(readFile(t, file)), &r); err != nil {
				t.Fatal(err)
			}
			all = awaitReports(t, c.admins[1], "the subscribers' leaving", func(all []cluster.Report) bool {
				return total(all, streams) == 0 && total(all, publishes)-before >= int64(r.Publish.Acknowledged)-1
			})
			if extra := total(all, publishes) - before - int64(r.Publish.Acknowledged); extra > 1 { // the load test tries it once
				t.Errorf("the nodes published %d more than the load test", extra)
			}
			if got := total(all, written); got < int64(r.Delivery.Received) {
				t.Errorf("the nodes wrote %d bytes for %d messages", got, r.Delivery.Received)
			}
			if got := total(all, deliveries); transport == "sse" && got != int64(r.Delivery.Received) {
				t.Errorf("the nodes delivered %d, the load test received %d", got, r.Delivery.Received)
			}
			wantNumbers(t, all)
		})
	}
}

// wantNumbers checks the numbers that any node of a cluster reports.
func wantNumbers(t *testing.T, all []cluster.Report) {
	t.Helper()
	for _, r := range all {
		if !r.Ready || r.Draining || r.URL == "" || r.Admin == "" || r.Version == "" || time.Since(r.Started) < 0 || r.Goroutines == 0 || r.Heap == 0 {
			t.Errorf("a report is %+v", r)
		}
		if r.RelayDelayMS == nil || *r.RelayDelayMS <= 0 || r.ProbeAgeMS == nil || r.CPUPercent == nil || r.RSS == 0 {
			t.Errorf("a report lacks something: %+v", r)
		}
	}
}
