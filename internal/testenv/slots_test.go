package testenv

import (
	"testing"
	"testing/synctest"
)

// named is a test that runs until its cleanup is called.
type named struct {
	testing.TB
	name    string
	cleanup func()
}

func (n *named) Name() string     { return n.name }
func (n *named) Cleanup(f func()) { n.cleanup = f }

func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		has := map[string]bool{}
		take := func(name string) *named {
			n := &named{name: name}
			go func() { s.take(n); has[name] = true }()
			synctest.Wait()
			return n
		}
		want := func(name string, want bool) {
			t.Helper()
			if synctest.Wait(); has[name] != want {
				t.Errorf("%s has a slot: %v, want %v", name, has[name], want)
			}
		}
		first, part := take("TestA"), take("TestA/part")
		want("TestA/part", true)
		second := take("TestB")
		want("TestB", false)
		s.take(first) // again: nothing more
		first.cleanup()
		want("TestB", false)
		part.cleanup()
		want("TestB", true)
		second.cleanup()
		take("TestC")
		want("TestC", true)
	})
}
