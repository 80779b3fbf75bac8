package web

import (
	"embed"
	"path"
)

var (
	//go:embed static/index.html
	indexHTML []byte
	//go:embed static/chat.css
	chatCSS []byte
	//go:embed static/chat/*.js
	chatScripts embed.FS
)

// chatFiles is every file of the chat, by path.
var chatFiles = withScripts(map[string]*file{
	"/":            newFile(html, indexHTML),
	"/chat.css":    newFile(css, chatCSS),
	"/favicon.svg": newFile(svg, faviconSVG),
})

// withScripts adds the modules of the chat at /chat/name.js.
func withScripts(files map[string]*file) map[string]*file {
	const folder = "static/chat"
	entries, err := chatScripts.ReadDir(folder)
	if err != nil {
		panic(err) // it is embedded
	}
	for _, entry := range entries {
		content, err := chatScripts.ReadFile(path.Join(folder, entry.Name()))
		if err != nil {
			panic(err)
		}
		files["/chat/"+entry.Name()] = newFile(javaScript, content)
	}
	return files
}
