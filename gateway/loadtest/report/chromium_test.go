package report

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"comet/gateway/web/browsertest"
)

// browser shows reports.
type browser struct {
	*browsertest.Browser
	t testing.TB
}

func startBrowser(t testing.TB) *browser { return &browser{browsertest.Start(t), t} }

// screen is what a page is shown on.
type screen struct {
	name          string
	width, height int
	dark          bool
}

// open shows html and returns when it is loaded. From then on Events has what
// the page did.
func (b *browser) open(html []byte, s screen) {
	b.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html) // a browser that has left
	}))
	b.t.Cleanup(server.Close)
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": s.width, "height": s.height, "deviceScaleFactor": 1, "mobile": s.width < 500}, nil)
	b.Call("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.Open(server.URL)
}

// wantQuiet fails for anything that the page complained of, or asked for
// besides itself, or that does not fit the screen's width.
func (b *browser) wantQuiet(s screen) {
	b.t.Helper()
	for _, method := range []string{"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"} {
		for _, e := range b.Events[method] {
			b.t.Errorf("%s: %s: %s", s.name, method, e)
		}
	}
	if n := len(b.Events["Network.requestWillBeSent"]); n != 1 {
		b.t.Errorf("%s: %d requests, want the page alone: %s", s.name, n, b.Events["Network.requestWillBeSent"])
	}
	var width int
	b.Evaluate(`document.documentElement.scrollWidth`, &width)
	if width > s.width {
		b.t.Errorf("%s: the page is %d wide", s.name, width)
	}
}

// screenshotsVariable names a folder for pictures of the pages, to look at.
const screenshotsVariable = "COMET_TEST_SCREENSHOTS"

// screenshot keeps a picture of the whole page, if someone wants it.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	folder := os.Getenv(screenshotsVariable)
	if folder == "" {
		return
	}
	var picture struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &picture)
	data, err := base64.StdEncoding.DecodeString(picture.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s.png", name)), data, 0o666)
	}
	if err != nil {
		b.t.Error(err)
	}
}
