// How the page speaks to its node: with the operator's token, where one is
// wanted. EventSource can send none, so streams are read with fetch.

const KEY = 'comet.admin.token';
let token = recall();
let signIn = null; // asks for a token, see askWith

/** asking(problem) resolves with a token. It is asked once at a time. */
export function askWith(asking) {
  let asked = null;
  signIn = (problem) => asked ??= asking(problem).then(remember).finally(() => { asked = null; });
}

export const signedIn = () => token !== '';

export function signOut() {
  remember('');
  location.reload();
}

/** fetch, with the token; asks for one as often as it is refused. */
export async function request(path, options = {}) {
  for (;;) {
    const sent = token;
    const headers = sent ? { ...options.headers, Authorization: `Bearer ${sent}` } : options.headers;
    const response = await fetch(path, { ...options, headers, cache: 'no-store' });
    if (response.status !== 401) return response;
    if (sent === token) await signIn(sent ? 'This token is not taken.' : '');
  }
}

/** The JSON of an answer. An error says what the node says. */
export async function ask(path, options) {
  const response = await request(path, options);
  if (response.ok) return response.json();
  const text = await response.text();
  let detail = text.trim();
  try { detail = JSON.parse(text).detail ?? detail; } catch { /* plain text */ }
  throw Object.assign(new Error(detail || `the node answered ${response.status}`), { status: response.status });
}

/**
 * Follows channel until close(); after each loss it resumes after the last
 * event. on(kind, value, time) is called for each message, with kind 'message',
 * and for Comet's own events; lost(error) at every loss. */
export class Stream {
  #channel; #last; #on; #lost; #cursor = ''; #stop = new AbortController(); #failures = 0;

  constructor(channel, { last, on, lost }) {
    [this.#channel, this.#last, this.#on, this.#lost] = [channel, last, on, lost];
    this.#run();
  }

  close() { this.#stop.abort(); }

  async #run() {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const error = await this.#once(signal).catch((e) => e) ?? {};
      if (signal.aborted) return;
      this.#lost(error);
      await pause(Math.min(10_000, 500 * 2 ** this.#failures++) * (0.5 + Math.random() / 2));
    }
  }

  async #once(signal) {
    const from = this.#cursor ? { cursor: this.#cursor } : { last: this.#last };
    const query = new URLSearchParams({ channel: this.#channel, ...from });
    const response = await request(`/v1/events?${query}`, { headers: { Accept: 'text/event-stream' }, signal });
    if (!response.ok) throw Object.assign(new Error(`the node answered ${response.status}`), await response.json().catch(() => {}));
    for await (const event of eventsOf(response.body)) {
      this.#cursor = event.id || this.#cursor;
      this.#failures = 0;
      const own = event.type.startsWith('comet.');
      if (event.data && !signal.aborted) this.#on(own ? event.type : 'message', JSON.parse(event.data));
    }
  }
}

/** Server-sent events as they come (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let event = { type: 'message', id: '', data: '' };
  for (let rest = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n'); // Comet ends lines so
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        yield event;
        event = { type: 'message', id: '', data: '' };
        continue;
      }
      const colon = line.indexOf(':');
      const text = line.slice(colon + 1).replace(/^ /, '');
      switch (line.slice(0, colon)) {
        case 'event': event.type = text; break;
        case 'id': event.id = text; break;
        case 'data': event.data += text; break;
      }
    }
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The browser may forbid storage; then the token is asked for at each load.
function recall() {
  try { return sessionStorage.getItem(KEY) ?? ''; } catch { return ''; }
}
function remember(given) {
  token = given;
  try { sessionStorage.setItem(KEY, given); } catch { /* as above */ }
}
