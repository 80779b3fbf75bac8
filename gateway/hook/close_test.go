package hook

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCloseHasDeadline(t *testing.T) {
	for name, a := range map[string]application{
		"hangs": hang,
		"fails": func(*http.Request, []byte) (*http.Response, error) { return reply(500, "") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEvents(t, EventsOptions{}, a)
				for i := range 150 {
					e.FirstSubscriber(fmt.Sprint(i))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				began := time.Now()
				for range 2 {
					if err := e.Close(ctx); err == nil || !strings.HasPrefix(err.Error(), "150 events ") {
						t.Errorf("got %v", err)
					}
				}
				if took := time.Since(began); took != 3*time.Second {
					t.Errorf("took %v", took)
				}
				e.FirstSubscriber("late")
				if s := e.Stats(); s.Dropped != 151 || s.Delivered+s.Waiting != 0 {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

// Close does not sit out a long pause.
func TestCloseTriesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, status: []int{500, 500, 500, 500, 500, 500, 500, 500}}
		e := newEvents(t, EventsOptions{}, r.take)
		e.FirstSubscriber("a")
		for e.Stats().Failures < 8 {
			time.Sleep(time.Second)
		}
		e.FirstSubscriber("b")
		began := time.Now()
		mustClose(t, e)
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}
