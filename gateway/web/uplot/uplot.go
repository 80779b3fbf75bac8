// Package uplot is the charts library uPlot, embedded, for every page of ours
// that has charts.
package uplot

import _ "embed" // for the files

var (
	// JS is a classic script that defines uPlot.
	//go:embed uPlot.iife.min.js
	JS string
	// CSS is what it looks like.
	//go:embed uPlot.min.css
	CSS string
)
