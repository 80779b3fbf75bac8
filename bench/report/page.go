package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io"
	"strings"

	"comet/gateway/web/uplot"
)

//go:embed page.html report.html compare.html report.css report.js
var files embed.FS

// Scripts and styles, as they stand in the pages.
var (
	pageJS  = file("report.js")
	pageCSS = file("report.css")
)

// policy lets a page do what the given parts of it do. It cannot load or send
// anything, and a script that came in with the data would not run.
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

// file is the text of an embedded file.
func file(name string) string {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // embed has it, or the build fails
	}
	return string(content)
}

// newPage is the template of an embedded page.
func newPage(name string) *template.Template {
	return template.Must(template.New(name).ParseFS(files, "page.html", name))
}

// page is what every page has. Script and Style are trusted: they are this
// package's.
type page struct {
	Title   string
	Policy  string
	Styles  []template.CSS
	Scripts []template.JS
}

func makePage(title string, scripts ...string) page {
	styles := []string{pageCSS}
	if len(scripts) > 0 {
		styles = []string{uplot.CSS, pageCSS}
	}
	p := page{Title: title, Policy: policy(scripts, styles)}
	for _, s := range styles {
		p.Styles = append(p.Styles, template.CSS(s))
	}
	for _, s := range scripts {
		p.Scripts = append(p.Scripts, template.JS(s))
	}
	return p
}

// write executes t into memory first, so that w gets a whole page or nothing.
func write(w io.Writer, t *template.Template, data any) error {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}
