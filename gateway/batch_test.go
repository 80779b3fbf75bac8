package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// result is one of a batch's.
type result struct {
	receipt
	Error *struct {
		Type   string `json:"type"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	} `json:"error"`
}

// batch publishes body and returns the results.
func (c *cluster) batch(contentType, body string) []result {
	c.t.Helper()
	a := c.send(post("/v1/publish", body, "Content-Type", contentType))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != asJSON {
		c.t.Fatalf("batch: %d %s", a.status, a.body)
	}
	return decode[struct{ Results []result }](c.t, a.body).Results
}

// badItems are items of a batch that fail, with the problem of each.
var badItems = []struct{ item, problem, detail string }{
	{`5`, "invalid-body", "not a message"},
	{`"text"`, "invalid-body", "not a message"},
	{`{"channel":"c","data":1,"typ":"x"}`, "invalid-body", `"typ"`},
	{`{"data":1}`, "invalid-channel", "missing"},
	{`{"channel":"{c}","data":1}`, "invalid-channel", "{ or }"},
	{`{"channel":"c"}`, "invalid-body", "missing"},
	{`{"channel":"c","data":1,"type":"comet.x"}`, "invalid-type", "comet."},
	{`{"channel":"c","data":1,"key":"a b"}`, "invalid-key", "ASCII"},
	{`{"channel":"c","data":1,"key":"k","ephemeral":true}`, "invalid-key", "ephemeral"},
	{`{"channel":"c","data":"` + strings.Repeat("x", 100) + `"}`, "too-large", "limits.message"},
	{`{"channel":"secret","data":1}`, "forbidden", "auth.anonymous.publish"},
	{"{\"channel\":\"caf\xe9\",\"data\":1}", "invalid-channel", "UTF-8"},
	{`{"channel":"caf\ud800","data":1}`, "invalid-channel", "UTF-8"},
	{`{"channel":"caf\uDC00","data":1}`, "invalid-channel", "UTF-8"},
	{`{"channel":"\ud83d\u0041","data":1}`, "invalid-channel", "UTF-8"},
	{`{"channel":"\ud83d\ud83d\ude00","data":1}`, "invalid-channel", "UTF-8"},
	{`{"channel":"\ud83d\\ude00","data":1}`, "invalid-channel", "UTF-8"},
}

// A name in a batch may be escaped, and may have U+FFFD itself.
func TestBatchNames(t *testing.T) {
	names := map[string]string{
		`\ud83d\ude00`:     "😀",
		`caf\u00E9`:        "café",
		`\\ud800`:          `\ud800`,
		`caf\ufffd`:        "caf\uFFFD",
		"caf\uFFFD":        "caf\uFFFD",
		`\"\\\ud83d\uDE00`: `"\😀`,
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for written, name := range names {
			r := c.batch(asLines, "\uFEFF"+`{"channel":"`+written+`","data":1}`)[0]
			if r.Error != nil || r.Channel != name {
				t.Errorf("%s: got %+v, want channel %q", written, r, name)
			}
		}
	})
}

// Each item of a batch has its own result, and a bad one harms no other.
func TestBatch(t *testing.T) {
	s := setup{}
	s.limits.Message = 100
	s.gateway = anonymously([]string{"**"}, []string{"c"})
	var items, published []string
	for i, bad := range badItems {
		items = append(items, fmt.Sprintf(`{"channel":"c","data": {"n": %d}, "type":"tick"}`, i), bad.item)
		published = append(published, fmt.Sprintf(`{"n":%d}`, i))
	}
	items = append(items, `{"channel":"c","data":"last","ephemeral":true}`)
	bodies := []struct{ name, contentType, body string }{
		{"Item", "application/json; charset=utf-8", "[" + strings.Join(items, ",\n") + "]"},
		{"Line", asLines, strings.Join(items, "\n") + "\n"},
		{"Line", asLines, strings.Join(items, "\r\n")},
	}
	overEach(t, s, func(t *testing.T, c *cluster) {
		c.publish("c", `"first"`)
		for _, b := range bodies {
			live := c.open("channel=c")
			live.want("ready")
			results := c.batch(b.contentType, b.body)
			if len(results) != len(items) {
				t.Fatalf("%d results, want %d", len(results), len(items))
			}
			for i, bad := range badItems {
				if good := results[2*i]; good.Error != nil || good.ID == "" || good.Channel != "c" {
					t.Errorf("%s: got %+v", items[2*i], good)
				}
				e := results[2*i+1].Error
				where := fmt.Sprintf("%s %d", b.name, 2*i+2)
				if e == nil || e.Type != "urn:comet:problem:"+bad.problem || e.Status < 400 ||
					!strings.HasPrefix(e.Detail, where) || !strings.Contains(e.Detail, bad.detail) {
					t.Errorf("%s: got %+v, want %s", bad.item, e, bad.problem)
				}
			}
			live.want(append(slices.Clone(published), `"last"`)...)
			live.leave()
		}
	})
}

// Lines that are no JSON at all, and empty ones, have their results too.
func TestBatchLines(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		good := `{"channel":"c","data":1}`
		results := c.batch(asLines, strings.Join([]string{good, `{"channel":`, "", good + good, good}, "\n"))
		for i, ok := range []bool{true, false, false, false, true} {
			if r := results[i]; (r.Error == nil) != ok || !ok && !strings.HasPrefix(r.Error.Detail, fmt.Sprintf("Line %d", i+1)) {
				t.Errorf("line %d: %+v", i+1, r)
			}
		}
		if h := c.history("c", ""); len(h.Messages) != 2 {
			t.Errorf("history %q", datas(h.Messages))
		}
		for _, empty := range []request{post("", "[]", "Content-Type", asJSON), post("", "", "Content-Type", asLines)} {
			if results := c.batch(empty.header[1], empty.body); results == nil || len(results) > 0 {
				t.Errorf("an empty batch: %+v", results)
			}
		}
	})
}

// A large batch arrives as it was sent, in order.
func TestBatchOrder(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		s := c.open("channel=c")
		s.want("ready")
		var lines strings.Builder
		var want []string
		for i := range 1000 {
			fmt.Fprintf(&lines, "{\"channel\":\"c\",\"data\":%d}\n", i)
			want = append(want, fmt.Sprint(i))
		}
		c.batch(asLines, lines.String())
		s.want(want...)
	})
}
