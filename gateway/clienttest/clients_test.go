package clienttest

// kind is how a client is run.
type kind int

const (
	inPage kind = iota // in a tab of Chromium
	inNode             // as a script of Node
	inGo               // by goclients
)

// known is a client, and how it is used.
type known struct {
	name string // as people know it
	kind kind
	from string // its package; of a page "" is the browser itself
	// code calls got(text) for each message that comes from url. A page may have
	// HTML before its script.
	html, code string
	recipe     int    // the block of docs/recipes/htmx.md that is the page, counted from 1; 0: none
	givesUp    bool   // at an answer that is not 200; then a program has to make a new one
	set        string // what has to be set, for docs/clients.md
}

// module loads an ES module of a package in a page.
func module(path string) string { return "/npm/" + path }

var clients = []known{
	{name: "EventSource", kind: inPage, givesUp: true,
		code: `const source = new EventSource(url); source.onmessage = ({ data }) => got(data)`,
		set:  "after an answer that is not `200` make a new one, with `&lastEventId=` ([recipe](recipes/eventsource.md))"},
	{name: "@microsoft/fetch-event-source", kind: inPage, from: "@microsoft/fetch-event-source",
		code: `const { fetchEventSource } = await import('` + module("@microsoft/fetch-event-source/lib/esm/index.js") + `')
			fetchEventSource(url, {
				openWhenHidden: true,
				onopen() {},
				onmessage: ({ event, data }) => { if (!event) got(data) },
				onclose() { throw new Error('the server ended it') },
				onerror: () => 300,
			})`,
		set: "`openWhenHidden: true`; an `onclose` that throws, else it ends with the server's; an `onopen` and an `onerror` that do not"},
	{name: "reconnecting-eventsource", kind: inPage, from: "reconnecting-eventsource",
		code: `const { default: ReconnectingEventSource } = await import('` + module("reconnecting-eventsource/build/esm/reconnecting-eventsource.js") + `')
			const source = new ReconnectingEventSource(url, { max_retry_time: 1000 })
			source.addEventListener('message', ({ data }) => got(data))`,
		set: "nothing; it resumes from the last event of a type that has a listener"},
	{name: "event-source-polyfill", kind: inPage, from: "event-source-polyfill", givesUp: true,
		html: `<script src="` + module("event-source-polyfill/src/eventsource.min.js") + `"></script>`,
		code: `const source = new EventSourcePolyfill(url, { headers: {} }); source.onmessage = ({ data }) => got(data)`,
		set:  "`heartbeatTimeout` above `http.heartbeat` (45 s is well); a new one after an answer that is not `200`"},
	{name: "sse.js", kind: inPage, from: "sse.js",
		code: `const { SSE } = await import('` + module("sse.js/lib/sse.js") + `')
			const source = new SSE(url, { autoReconnect: true, reconnectDelay: 300, maxRetries: null })
			source.addEventListener('message', ({ data }) => got(data))
			source.stream()`,
		set: "`autoReconnect: true, maxRetries: null`"},
	{name: "htmx 2, htmx-ext-sse", kind: inPage, from: "htmx-ext-sse", recipe: 1,
		html: `<script src="` + module("htmx2/dist/htmx.min.js") + `"></script><script src="` + module("htmx-ext-sse/dist/sse.min.js") + `"></script>`,
		set:  "the [recipe](recipes/htmx.md#htmx-2)"},
	{name: "htmx 4, hx-sse", kind: inPage, from: "htmx4", recipe: 2,
		html: `<script src="` + module("htmx4/dist/htmx.min.js") + `"></script><script src="` + module("htmx4/dist/ext/hx-sse.min.js") + `"></script>`,
		set:  "the [recipe](recipes/htmx.md#htmx-4)"},
	{name: "eventsource", kind: inNode, from: "eventsource", givesUp: true,
		code: `import { EventSource } from 'eventsource'
			const source = new EventSource(url); source.onmessage = ({ data }) => got(data)`,
		set: "as EventSource; a `fetch` that adds the header `Authorization`"},
	{name: "eventsource-client", kind: inNode, from: "eventsource-client",
		code: `import { createEventSource } from 'eventsource-client'
			createEventSource({ url, onMessage: ({ event = 'message', data }) => { if (event === 'message') got(data) } })`,
		set: "`onMessage` also gets Comet's own events: look at `event`"},
	{name: "event-source-plus", kind: inNode, from: "event-source-plus",
		code: `import { EventSourcePlus } from 'event-source-plus'
			new EventSourcePlus(url, { retryStrategy: 'always', maxRetryInterval: 1000 })
				.listen({ onMessage: ({ event, data }) => { if (!event || event === 'message') got(data) } })`,
		set: "`retryStrategy: 'always'`; it trims white space from messages"},
	{name: "launchdarkly-eventsource", kind: inNode, from: "launchdarkly-eventsource",
		code: `import { EventSource } from 'launchdarkly-eventsource'
			const source = new EventSource(url, { initialRetryDelayMillis: 300 })
			source.onerror = () => {}
			source.onmessage = ({ data }) => got(data)`,
		set: "an `onerror`, without which an error ends the process"},
	{name: "r3labs/sse", kind: inGo, from: "github.com/r3labs/sse/v2",
		code: "r3labs",
		set:  "`ClientMaxBufferSize` above 64 KiB, if messages may be as large; a `ReconnectStrategy`, else it gives up after 15 minutes without an event"},
	{name: "tmaxmax/go-sse", kind: inGo, from: "github.com/tmaxmax/go-sse", code: "tmaxmax",
		set: "`Connection.Buffer` above 64 KiB, if messages may be as large; call `Connect` again when it returns, which it does after an answer that is not `200`"},
	{name: "launchdarkly/eventsource", kind: inGo, from: "github.com/launchdarkly/eventsource", code: "launchdarkly",
		set: "`StreamOptionErrorHandler`, or read `Errors`: else it waits there"},
	{name: "donovanhide/eventsource", kind: inGo, from: "github.com/donovanhide/eventsource", code: "donovanhide",
		set: "read `Errors`: else it waits there"},
}
