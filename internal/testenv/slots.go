package testenv

import (
	"flag"
	"strings"
	"sync"
	"testing"
)

// slots limits how many top-level tests run processes at a time. The limit of
// `go test -parallel` cannot do that: a test whose parallel subtests wait for
// their turn does not count there, but keeps its processes.
type slots struct {
	free chan struct{} // a value per slot that is free

	mu    sync.Mutex // guards tests
	tests map[string]*slot
}

// slot is what a top-level test and its subtests hold together.
type slot struct {
	mu    sync.Mutex
	users map[string]bool // the tests that have taken it and still run
}

// limit is that of this binary; nil: there is none.
var limit *slots

// LimitProcesses has at most n top-level tests of this binary hold a slot at a
// time, and takes away the limit of -parallel: subtests that wait for it would
// wait for tests that wait for their slot. It is for TestMain, before m.Run.
func LimitProcesses(n int) {
	flag.Parse()
	if err := flag.Set("test.parallel", "1000"); err != nil {
		panic(err)
	}
	limit = newSlots(n)
}

// TakeSlot returns when t may run processes. Without LimitProcesses that is at
// once. A top-level test and its subtests share one slot, which is free again
// when all of them that took it have ended.
func TakeSlot(t testing.TB) {
	if limit != nil {
		limit.take(t)
	}
}

func newSlots(n int) *slots {
	s := &slots{free: make(chan struct{}, n), tests: map[string]*slot{}}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

func (s *slots) take(t testing.TB) {
	name := t.Name()
	top, _, _ := strings.Cut(name, "/")
	s.mu.Lock()
	one := s.tests[top]
	if one == nil {
		one = &slot{users: map[string]bool{}}
		s.tests[top] = one
	}
	s.mu.Unlock()

	one.mu.Lock()
	defer one.mu.Unlock()
	if one.users[name] {
		return
	}
	if len(one.users) == 0 {
		<-s.free
	}
	one.users[name] = true
	t.Cleanup(func() {
		one.mu.Lock()
		defer one.mu.Unlock()
		delete(one.users, name)
		if len(one.users) == 0 {
			s.free <- struct{}{}
		}
	})
}
