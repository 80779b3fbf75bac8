package redisbroker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// nothing is a client that is never used.
type nothing struct{}

func (nothing) Close() error { return nil }

// Servers that do not answer delay a caller only by the grace. They are left out until
// they answer, and are asked again after that.
func TestAskAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &askers[nothing]{open: func(string) (nothing, *dialer) { return nothing{}, newDialer(&Options{}) }}
		a.keep([]string{"frozen", "quick", "dead", "slow"})
		var asked []string
		ask := func(ctx context.Context, one *asker[nothing]) (string, error) {
			switch one.address {
			case "frozen":
				asked = append(asked, "frozen")
				time.Sleep(10 * time.Second)
			case "dead":
				return "", errors.New("refused")
			case "slow":
				time.Sleep(50 * time.Millisecond)
			}
			return one.address, nil
		}
		round := func(enough int) ([]string, error) {
			answers, err := askAll(t.Context(), a, 100*time.Millisecond, ask, func(answers []string) bool { return len(answers) >= enough })
			slices.Sort(answers)
			return answers, err
		}
		began := time.Now()
		if got, err := round(1); !slices.Equal(got, []string{"quick", "slow"}) || err != nil || time.Since(began) != 100*time.Millisecond {
			t.Errorf("got %v, %v after %v", got, err, time.Since(began))
		}
		began = time.Now()
		if got, _ := round(1); !slices.Equal(got, []string{"quick", "slow"}) || time.Since(began) != 50*time.Millisecond {
			t.Errorf("while it is still being asked: got %v after %v", got, time.Since(began))
		}
		time.Sleep(10 * time.Second)
		began = time.Now()
		if got, _ := round(3); len(got) != 3 || time.Since(began) != 10*time.Second {
			t.Errorf("two answers are not enough: got %v after %v", got, time.Since(began))
		}
		if len(asked) != 2 {
			t.Errorf("it was asked %d times", len(asked))
		}
		a.keep([]string{"dead"})
		if _, err := round(1); err == nil || err.Error() != "refused" {
			t.Errorf("no answer: %v", err)
		}
		a.close()
	})
}
