package web

import (
	_ "embed" // for the files
	"net/http"

	"comet/gateway/web/uplot"
)

var (
	//go:embed dashboard/index.html
	dashboardHTML []byte
	//go:embed dashboard/dashboard.css
	dashboardCSS []byte
	//go:embed dashboard/dashboard.js
	dashboardJS []byte
	//go:embed dashboard/cluster.js
	clusterJS []byte
	//go:embed dashboard/charts.js
	chartsJS []byte
	//go:embed dashboard/inspector.js
	inspectorJS []byte
	//go:embed dashboard/server.js
	serverJS []byte
	//go:embed dashboard/text.js
	textJS []byte
)

// dashboardFiles is every file of the dashboard by its pattern in an
// http.ServeMux.
var dashboardFiles = map[string]*file{
	"/{$}":           newFile(html, dashboardHTML),
	"/dashboard.css": newFile(css, dashboardCSS),
	"/dashboard.js":  newFile(javaScript, dashboardJS),
	"/cluster.js":    newFile(javaScript, clusterJS),
	"/charts.js":     newFile(javaScript, chartsJS),
	"/inspector.js":  newFile(javaScript, inspectorJS),
	"/server.js":     newFile(javaScript, serverJS),
	"/text.js":       newFile(javaScript, textJS),
	"/uplot.js":      newFile(javaScript, []byte(uplot.JS)),
	"/uplot.css":     newFile(css, []byte(uplot.CSS)),
	"/favicon.svg":   newFile(svg, faviconSVG),
}

// Dashboard is the dashboard's files by their pattern in an http.ServeMux, to be
// served to GET and HEAD as Handler does. They hold nothing of the cluster: the
// page asks for that, with the token that the operator gives it.
func Dashboard() map[string]http.Handler {
	all := make(map[string]http.Handler, len(dashboardFiles))
	for pattern, f := range dashboardFiles {
		all[pattern] = f
	}
	return all
}
