package redistest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestClock compares times in stream IDs, which are what Comet depends on.
func TestClock(t *testing.T) {
	t.Parallel()
	server := Start(t, Clock(-time.Hour))
	for _, offset := range []time.Duration{-time.Hour, -time.Hour - time.Second, 0, 3 * time.Second, -24 * time.Hour} {
		server.SetClock(offset)
		server.Do("DEL", "stream") // or its IDs would go on from the newest
		before := time.Now().Add(offset).Truncate(time.Millisecond)
		id := idTime(t, server.Do("XADD", "stream", "*", "a", "b"))
		if after := time.Now().Add(offset); id.Before(before) || id.After(after) {
			t.Errorf("offset %v: ID of %v, want between %v and %v", offset, id, before, after)
		}
	}
}

func TestClockOfReplica(t *testing.T) {
	t.Parallel()
	primary := Start(t, TCP)
	replica := Replica(t, primary, Clock(-time.Minute))
	replica.Promote()
	now := time.Now()
	if id := idTime(t, replica.Do("XADD", "stream", "*", "a", "b")); id.After(now.Add(-30 * time.Second)) {
		t.Errorf("ID of %v at %v", id, now)
	}
}

func idTime(t *testing.T, id any) time.Time {
	t.Helper()
	text, _, _ := strings.Cut(id.(string), "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(ms)
}

func TestClockNeedsCompiler(t *testing.T) {
	bin := t.TempDir()
	if err := os.Symlink(lookUp(t), filepath.Join(bin, "redis-server")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("COMET_TEST_ALL", "")
	r := &recorder{TB: t}
	r.run(func(r testing.TB) { Start(r, Clock(0)) })
	if !strings.HasPrefix(r.skipped, "cc is not installed") {
		t.Errorf("skipped %q, failed %q", r.skipped, r.failed)
	}
}

func TestSetClockNeedsClock(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	r.run(func(r testing.TB) { Start(r).SetClock(0) })
	if !strings.Contains(r.failed, "redistest.Clock(0)") {
		t.Errorf("failed with %q", r.failed)
	}
}
