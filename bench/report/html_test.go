package report

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"comet/bench"
	"comet/gateway/web/browsertest"
)

var screens = []browsertest.Screen{
	{Name: "light", Width: 1280, Height: 900},
	{Name: "dark", Width: 1280, Height: 900, Dark: true},
	{Name: "phone", Width: 360, Height: 780},
	{Name: "phone, dark", Width: 390, Height: 844, Dark: true},
}

// drawnCharts returns the charts with a canvas that has a size and pixels of more
// than one colour.
const drawnCharts = `[...document.querySelectorAll('[data-chart]')].filter(figure => {
	const canvas = figure.querySelector('canvas')
	if (!canvas || !canvas.width || !canvas.height || !canvas.clientWidth) return false
	const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)
	return new Set(pixels).size > 2
}).map(figure => figure.dataset.chart)`

func htmlOf(t testing.TB, r *bench.Result) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPageInChromium(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	for name, test := range map[string]struct {
		result *bench.Result
		charts []string
	}{
		"large":   {sample(), []string{"connections", "latency", "rates", "distribution", "server", "trouble"}},
		"small":   {small(), []string{"connections", "rates"}},
		"empty":   {&bench.Result{}, nil},
		"hostile": {hostile(), []string{"connections", "rates"}},
	} {
		html := htmlOf(t, test.result)
		for _, s := range screens {
			b.open(html, s)
			b.wantQuiet(s)
			var drawn []string
			b.Evaluate(drawnCharts, &drawn)
			if !slices.Equal(drawn, test.charts) {
				t.Errorf("%s, %s: drawn are %q, want %q", name, s.Name, drawn, test.charts)
			}
			b.Picture(name + ", " + s.Name)
		}
	}
}

func TestComparisonInChromium(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	var html bytes.Buffer
	if err := WriteComparisonHTML(&html, rows(), "One channel, 2 messages/s of 100 B for 20s, short polls every 1s."); err != nil {
		t.Fatal(err)
	}
	for _, s := range screens {
		b.open(html.Bytes(), s)
		b.wantQuiet(s)
		var bars int
		b.Evaluate(`[...document.querySelectorAll('rect')].filter(r => r.getBoundingClientRect().width > 0).length`, &bars)
		if want := 38; bars != want {
			t.Errorf("%s: %d bars, want %d", s.Name, bars, want)
		}
		b.Picture("compare, " + s.Name)
	}
}

const attack = `</script><script>document.title = 'broken'</script><img src=x onerror="document.title = 'broken'">`

// hostile is a result with texts that try to inject HTML.
func hostile() *bench.Result {
	r := small()
	r.Plan.Target.Nodes = []string{"http://127.0.0.1/" + attack}
	r.Plan.Target.SubscribeURL = attack
	r.Plan.Transport = attack
	r.Version = attack
	r.Warnings = []string{attack, "<!--"}
	r.Trouble.Errors = map[string]int64{attack: 1}
	r.Timeline[0].Phase = attack
	return r
}

// TestTextStaysText checks the escaping, on which a browser without the policy relies.
func TestTextStaysText(t *testing.T) {
	t.Parallel()
	html := string(htmlOf(t, hostile()))
	if strings.Contains(html, attack) || strings.Contains(html, "<img") {
		t.Error("a text of the result stands in the page as it is")
	}
	if got, want := strings.Count(html, "</script>"), 3; got != want {
		t.Errorf("%d scripts end, want %d", got, want)
	}
}

func TestPageNeedsNothing(t *testing.T) {
	t.Parallel()
	html := string(htmlOf(t, sample()))
	for _, outside := range []string{" src=", "<link rel=\"stylesheet", "@import", "url("} {
		if strings.Contains(html, outside) {
			t.Errorf("the page has %s", outside)
		}
	}
}

func TestPageOfNoNumber(t *testing.T) {
	t.Parallel()
	r := small()
	r.Delivery.PerSecond = math.NaN()
	var b bytes.Buffer
	if err := WriteHTML(&b, r); err == nil || b.Len() > 0 {
		t.Errorf("%d bytes are written, with %v", b.Len(), err)
	}
}
