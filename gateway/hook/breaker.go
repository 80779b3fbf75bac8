package hook

import (
	"sync"
	"time"
)

// breaker leaves alone what failed several times in a row. After a pause one
// probe is let in, and its result decides.
type breaker struct {
	limit int           // of failures in a row
	pause time.Duration // from the last of them

	mu       sync.Mutex
	era      int64     // grows whenever it opens or closes: what began before says nothing
	failures int       // in a row, while closed
	until    time.Time // of the pause; zero: closed
	probing  bool      // after the pause
}

// enter lets one in, who must then call succeeded, failed or left with the era.
// If ok is false, wait is how long the pause still lasts; 0: a probe is under
// way.
func (b *breaker) enter() (era int64, wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return b.era, 0, true
	}
	if wait = max(0, time.Until(b.until)); wait > 0 || b.probing {
		return 0, wait, false
	}
	b.probing = true
	return b.era, 0, true
}

// succeeded reports whether it closed the breaker.
func (b *breaker) succeeded(era int64) (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if era != b.era {
		return false
	}
	b.failures = 0
	if b.until.IsZero() {
		return false
	}
	b.until, b.probing = time.Time{}, false
	b.era++
	return true
}

// failed reports whether it opened the breaker. A failed probe only begins
// another pause.
func (b *breaker) failed(era int64) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if era != b.era {
		return false
	}
	opened = b.until.IsZero()
	if b.failures++; opened && b.failures < b.limit {
		return false
	}
	b.until, b.probing, b.failures = time.Now().Add(b.pause), false, 0
	b.era++
	return opened
}

// left is for who went without a result.
func (b *breaker) left(era int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if era == b.era {
		b.probing = false
	}
}

func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero()
}
