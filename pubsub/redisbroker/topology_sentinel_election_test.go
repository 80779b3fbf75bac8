package redisbroker

import "testing"

// The highest epoch decides, even if few Sentinels know it. Among equal epochs the
// majority decides.
func TestNewestElection(t *testing.T) {
	t.Parallel()
	old, fresh, odd := election{address: "old", epoch: 3}, election{address: "new", epoch: 4}, election{address: "odd", epoch: 4}
	for _, test := range []struct {
		answers []*election
		want    string
	}{
		{[]*election{&old}, "old"},
		{[]*election{&old, &old, &fresh}, "new"},
		{[]*election{&fresh, &old, &old}, "new"},
		{[]*election{&odd, &fresh, &fresh, &old}, "new"},
		{[]*election{&odd, &fresh}, "new"},
		{[]*election{&fresh, &odd}, "new"},
	} {
		if got := newest(test.answers).address; got != test.want {
			t.Errorf("%d answers: %s, want %s", len(test.answers), got, test.want)
		}
	}
}
