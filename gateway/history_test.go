package gateway_test

import (
	"fmt"
	"slices"
	"testing"

	"comet/gateway/wire"
)

// Paging until there is no more meets each message once, both ways.
func TestHistoryPaging(t *testing.T) {
	const total = 25
	var up, down []string
	for i := range total {
		up = append(up, fmt.Sprint(i))
	}
	down = slices.Clone(up)
	slices.Reverse(down)
	newest := func(h *wire.History) string { return h.Messages[len(h.Messages)-1].ID.String() }
	oldest := func(h *wire.History) string { return h.Messages[0].ID.String() }
	tests := []struct {
		name, first, next string
		edge              func(*wire.History) string // where the next page begins
		reversed          bool                       // each page against the direction of the paging
		want              []string
	}{
		{"from the oldest", "", "after=", newest, false, up},
		{"from the oldest, said so", "order=asc&", "order=asc&after=", newest, false, up},
		{"from the newest", "order=desc&", "order=desc&before=", newest, false, down},
		{"from the newest, oldest first", "order=desc&", "before=", oldest, true, down},
		{"from the oldest, newest first", "order=asc&", "order=desc&after=", oldest, true, up},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		c.publishNumbers("c", 0, total-1)
		for _, test := range tests {
			for _, limit := range []int{1, 7, 24, 25, 1000} {
				h := c.history("c", fmt.Sprintf("%slimit=%d", test.first, limit))
				all := datas(h.Messages)
				edge := newest(h) // the first page is in the direction of the paging
				for pages := 1; h.More; pages++ {
					if len(h.Messages) != limit || pages > total {
						t.Fatalf("%s: a page of %d has %d, and more", test.name, limit, len(h.Messages))
					}
					h = c.history("c", fmt.Sprintf("%s%s&limit=%d", test.next, edge, limit))
					page := datas(h.Messages)
					if test.reversed {
						slices.Reverse(page)
					}
					all = append(all, page...)
					edge = test.edge(h)
				}
				if !slices.Equal(all, test.want) {
					t.Errorf("%s by %d: got %q", test.name, limit, all)
				}
			}
		}
	})
}

func TestHistoryBounds(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		ids := c.publishNumbers("c", 0, 4)
		tests := []struct {
			query string
			want  []string
		}{
			{"", []string{"0", "1", "2", "3", "4"}},
			{"after=" + ids[2], []string{"3", "4"}},
			{"after=" + ids[4], nil},
			{"after=0-0&limit=2", []string{"0", "1"}},
			{"before=" + ids[2], []string{"0", "1"}},
			{"before=" + ids[3] + "&limit=2", []string{"1", "2"}},
			{"before=" + ids[3] + "&limit=2&order=desc", []string{"2", "1"}},
			{"before=" + ids[0], nil},
			{"order=desc&limit=2", []string{"4", "3"}},
			{"order=desc&after=" + ids[1] + "&limit=2", []string{"3", "2"}},
		}
		for _, test := range tests {
			if got := datas(c.history("c", test.query).Messages); !slices.Equal(got, test.want) {
				t.Errorf("%q: got %q, want %q", test.query, got, test.want)
			}
		}
		if h := c.history("empty", ""); len(h.Messages) > 0 || h.More {
			t.Errorf("an empty channel: %+v", h)
		}
	})
}
