package browsertest

import (
	"flag"
	"os"
	"path/filepath"
)

// Screen is what a page is shown on.
type Screen struct {
	Name          string
	Width, Height int // CSS pixels
	Dark          bool
}

// Show has the pages that are opened from now on shown on s. Below a width of
// 500 that is a phone.
func (b *Browser) Show(s Screen) {
	b.t.Helper()
	scheme := "light"
	if s.Dark {
		scheme = "dark"
	}
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": s.Width, "height": s.Height, "deviceScaleFactor": 1, "mobile": s.Width < 500}, nil)
	b.Call("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// WantFit fails if the page is wider than the screen.
func (b *Browser) WantFit(s Screen) {
	b.t.Helper()
	var width int
	b.Evaluate(`document.documentElement.scrollWidth`, &width)
	if width > s.Width {
		b.t.Errorf("%s: the page is %d wide", s.Name, width)
	}
}

// WantNoComplaints fails for anything that the page complained of.
func (b *Browser) WantNoComplaints() {
	b.t.Helper()
	for _, method := range []string{"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"} {
		for _, e := range b.Events[method] {
			b.t.Errorf("%s: %s", method, e)
		}
	}
}

var pictures = flag.String("pictures", "", "folder for pictures of pages; empty: they are taken, but not kept")

// Pictures reports whether pictures are kept.
func Pictures() bool { return *pictures != "" }

// Picture takes a picture of the whole page, and writes it as name.png to the
// folder that the flag -pictures names.
func (b *Browser) Picture(name string) {
	b.t.Helper()
	var picture struct{ Data []byte } // of base64
	b.Call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &picture)
	if !Pictures() {
		return
	}
	if err := os.WriteFile(filepath.Join(*pictures, name+".png"), picture.Data, 0o666); err != nil {
		b.t.Error(err)
	}
}
