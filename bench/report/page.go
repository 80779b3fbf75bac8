package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"strings"
)

// Script and style of the pages.
var (
	//go:embed report.js
	pageJS string
	//go:embed report.css
	pageCSS string
)

// policy returns a Content-Security-Policy that allows only the given scripts and
// styles. The page cannot load or send anything, and a script in the data would
// not run.
func policy(scripts, styles []string) string {
	sources := func(parts []string) string {
		if len(parts) == 0 {
			return "'none'"
		}
		var hashes []string
		for _, part := range parts {
			sum := sha256.Sum256([]byte(part))
			hashes = append(hashes, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
		return strings.Join(hashes, " ")
	}
	return "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; script-src " +
		sources(scripts) + "; style-src " + sources(styles)
}

// page builds an HTML document.
type page struct{ b strings.Builder }

// newPage returns a page up to the end of its head. Its policy allows only the
// given scripts and styles, which must be this package's.
func newPage(title string, scripts, styles []string) *page {
	p := new(page)
	p.add(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="%s">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s · Comet</title>
<link rel="icon" href="data:,">
`, policy(scripts, styles), title)
	for _, style := range styles {
		p.addTrusted("<style>", style, "</style>\n")
	}
	p.addTrusted("</head>\n<body>\n")
	return p
}

// add formats like Printf and escapes each value for HTML: as text, or as an
// attribute in double quotes.
func (p *page) add(format string, values ...any) {
	for i, v := range values {
		if _, isNumber := v.(float64); !isNumber {
			values[i] = html.EscapeString(fmt.Sprint(v))
		}
	}
	fmt.Fprintf(&p.b, format, values...)
}

// addTrusted adds parts without escaping. Use add for texts from outside.
func (p *page) addTrusted(parts ...string) {
	for _, part := range parts {
		p.b.WriteString(part)
	}
}

// write ends the page and writes it.
func (p *page) write(w io.Writer, scripts []string) error {
	for _, script := range scripts {
		p.addTrusted("<script>", script, "</script>\n")
	}
	p.addTrusted("</body>\n</html>\n")
	_, err := io.WriteString(w, p.b.String())
	return err
}
