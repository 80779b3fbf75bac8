// The JavaScript client of Comet, for browsers and Node 20. comet.d.ts has its
// interface, docs/clients.md how it works.
//
// A Line is a connection. A Pool has the lines of all tabs that share: the tab
// that holds a lock leads, and relays what comes. A Subscription has its own
// cursor in each channel. What they pass on are items: [channel, name, data,
// cursor behind it, where the channel began]. The names are those of events, and
// `at`, which only moves the cursor.

const CHANNELS = 64; // of one line
const QUEUE = 1000; // items that wait for a loop, or for who catches up
const OUTBOX = 1000; // messages that wait to be published
const TRIES = 240_000; // ms; the server knows an idempotency key for 5 minutes
const PATIENCE = 5000; // ms, for what comes at once unless a proxy keeps it
const POLLS = 600_000; // ms, until a stream is tried where one was kept
const AGAIN = 'again', LATE = 'late'; // why a line cuts its connection

const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
const final = ({ status }) => status >= 400 && status < 500 && status !== 408 && status !== 429;
const offline = () => globalThis.navigator?.onLine === false;

/** Full jitter, so that clients that failed together do not return together. */
const backoff = (failures, asked = 0) =>
  Math.max(asked * (1 + Math.random() / 4), Math.random() * Math.min(30_000, 1000 * 2 ** failures));

// What waits is called when the network is back, or somebody looks.
const waiting = new Set();
const wake = () => waiting.forEach((fn) => fn());
globalThis.addEventListener?.('online', wake);
globalThis.addEventListener?.('offline', wake);
globalThis.document?.addEventListener('visibilitychange', () => document.hidden || wake());

async function pause(ms) {
  let timer, end;
  await new Promise((resolve) => {
    waiting.add(end = resolve);
    timer = setTimeout(end, ms);
  });
  waiting.delete(end);
  clearTimeout(timer);
}

/** A problem that the server answered with: status, type, detail. */
export class CometError extends Error {
  constructor(problem) {
    super(problem.detail);
    Object.assign(this, problem);
  }
}

/** Reads text/event-stream: a function of its next piece that gives the events which end there. */
export function eventReader() {
  let rest = '', id, event = {};
  return (text) => {
    const events = [], lines = (rest + text).split(/\r\n|\n|\r(?!$)/); // a last CR may be half a CRLF
    rest = lines.pop();
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)/s.exec(line);
      if (field === 'id') id = value;
      else if (field === 'data' && 'data' in event) event.data += `\n${value}`;
      else if (line) event[field] = value;
      else {
        if ('data' in event) events.push({ ...event, id });
        event = {};
      }
    }
    if (rest.length + (event.data?.length ?? 0) > 8 << 20) throw new Error('an event is over 8 MiB');
    return events;
  };
}

export class Comet {
  #url; #token; #pool;
  #outbox = new Map(); // channel → its last message's promise
  #unsent = 0;

  constructor(url = '/', options) {
    this.#url = new URL(url, globalThis.location?.href).href.replace(/\/$/, '');
    this.options = { heartbeat: 25_000, transport: 'auto', credentials: 'omit', share: true, ...options };
  }

  subscribe(channels, options = {}) {
    return new Subscription(this, [channels].flat(), options);
  }

  async publish(channel, data, { type, ephemeral, key } = {}) {
    const body = JSON.stringify(data);
    if (body === undefined) throw new TypeError('data has no JSON');
    if (this.#unsent === OUTBOX) throw new Error(`${OUTBOX} messages wait to be published: await some`);
    const headers = { 'Content-Type': 'application/json', ...!ephemeral && { 'Idempotency-Key': key ?? randomKey() } };
    const query = new URLSearchParams({ ...type && { type }, ...ephemeral && { ephemeral } });
    const before = this.#outbox.get(channel);
    const send = async () => {
      await before?.catch(() => {});
      return this.#send(`${pathOf(channel)}messages?${query}`, { method: 'POST', headers, body }, ephemeral);
    };
    this.#unsent++;
    const sent = send();
    this.#outbox.set(channel, sent);
    try {
      const receipt = await sent;
      return { ...receipt, duplicate: receipt.duplicate && !!key }; // of its own first try it is none
    } finally {
      this.#unsent--;
      if (this.#outbox.get(channel) === sent) this.#outbox.delete(channel);
    }
  }

  /** Tries until it is answered for good; what has no key, once. */
  async #send(path, init, once) {
    for (let failures = 0, began; ; failures++) {
      while (offline() && !once) await pause(60_000);
      began ??= Date.now();
      try {
        return await this.#json(path, { ...init, signal: AbortSignal.timeout(15_000) });
      } catch (error) {
        if (once || final(error) || Date.now() - began > TRIES) throw error;
        await pause(backoff(failures, error.wait));
      }
    }
  }

  history(channel, options) { return this.#json(`${pathOf(channel)}messages?${new URLSearchParams(options)}`); }

  presence(channel) { return this.#json(`${pathOf(channel)}presence`); }

  close() { this.#pool?.close(); }

  async #json(...request) { return (await this.request(...request)).json(); }

  /** A good answer. A token that is refused is renewed, once. */
  async request(path, init, renewed) {
    const token = await this.token();
    const headers = { ...init?.headers, ...token && { Authorization: `Bearer ${token}` } };
    const response = await fetch(this.#url + path, { credentials: this.options.credentials, cache: 'no-store', ...init, headers });
    if (response.ok) return response;
    const { status } = response;
    const problem = await response.json().catch(() => {});
    if (status === 401 && token && !renewed && await this.token(token) !== token) return this.request(path, init, true);
    throw new CometError({ detail: `the server answered ${status}`, ...problem, status, wait: Math.min(300, response.headers.get('Retry-After')) * 1000 || 0 });
  }

  /** The token; another, if there is one, for a refused one. */
  async token(refused) {
    const known = this.#token ??= this.#ask();
    if (refused && await known === refused && this.#token === known) this.#token = this.#ask();
    return this.#token;
  }

  async #ask() {
    const { token } = this.options;
    for (let failures = 0; ; failures++) {
      try {
        return await (typeof token === 'function' ? token() : token);
      } catch (error) {
        console.warn('comet: no token:', error);
        await pause(backoff(failures));
      }
    }
  }

  get pool() { return this.#pool ??= new Pool(this, () => { this.#pool = undefined; }); }

  /** What tabs must have in common to share: the server, and whose token it is. Undefined: they do not. */
  async shared() {
    const { share, credentials } = this.options;
    if (!share || !globalThis.location || !navigator.locks) return;
    if (share !== true) return `comet ${this.#url} ${share}`;
    if (credentials === 'omit') return `comet ${this.#url} ${claims(await this.token())}`; // else a cookie may say who it is
  }
}

const pathOf = (channel) => `/v1/channels/${encodeURIComponent(channel)}/`;

/** What a token says, without what differs from one to the next of the same user. */
function claims(token) {
  try {
    const said = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    return JSON.stringify({ ...said, iat: 0, exp: 0, nbf: 0, jti: 0 });
  } catch { return token; }
}

/** A connection that comes back as long as it has channels. Its owner has take(items) and refused(error, channels). */
class Line {
  at = new Map(); // channel → cursor, or where to begin
  ready;
  #comet; #owner; #running; #timer; #heard; #pollUntil = 0;
  #control = new AbortController();

  constructor(comet, owner) {
    this.#comet = comet;
    this.#owner = owner;
  }

  add(starts) {
    for (const [channel, start] of starts) this.at.set(channel, start);
    this.reopen();
    this.#running ??= this.#run();
  }

  /** What comes of the channel is left out at once, and not asked for soon. */
  drop(channel) {
    if (this.at.delete(channel) && this.at.size) setTimeout(() => this.reopen(), PATIENCE);
    else if (!this.at.size) this.reopen();
  }

  close() {
    this.at.clear();
    this.reopen();
  }

  reopen() {
    this.#control.abort(AGAIN);
    wake();
  }

  async #run() {
    const { heartbeat, transport } = this.#comet.options;
    const check = () => (offline() || Date.now() - this.#heard > 1.2 * heartbeat) && this.#control.abort(LATE);
    waiting.add(check);
    for (let failures = 0; this.at.size;) {
      const { signal } = this.#control = new AbortController();
      const polls = this.#polling();
      let asked, error;
      this.ready = undefined;
      try {
        for await (const items of polls ? this.#polls(signal) : this.#stream(signal)) {
          signal.throwIfAborted();
          asked = this.#bring(items);
        }
      } catch (e) { error = e; }
      clearTimeout(this.#timer);
      if (signal.reason === AGAIN) continue;
      if (error && final(error)) {
        const named = error.channels ?? [...this.at.keys()];
        named.forEach((channel) => this.at.delete(channel));
        this.#owner.refused(error, named);
      } else if (signal.reason === LATE && !this.ready && !offline() && !polls && transport === 'auto') {
        this.#pollUntil = Date.now() + POLLS;
      } else {
        if (this.ready) failures = 0;
        this.ready = undefined;
        this.#control.abort();
        this.#owner.take(this.#all('lost'));
        await pause(backoff(failures++, asked ?? error?.wait));
      }
    }
    waiting.delete(check);
    this.#running = undefined;
  }

  #polling() {
    const { transport } = this.#comet.options;
    return transport === 'poll' || transport === 'auto' && Date.now() < this.#pollUntil;
  }

  /** Cuts the connection unless something comes in time. */
  #within(ms) {
    this.#heard = Date.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#control.abort(LATE), ms);
  }

  #all(name, data) { return [...this.at.keys()].map((channel) => [channel, name, data]); }

  /** Hands on what is still wanted; the result is when to come back, if the server says so. */
  #bring(items) {
    items = items.filter(([channel]) => this.at.has(channel));
    let asked;
    for (const [channel, name, data, cursor] of items) {
      if (cursor) this.at.set(channel, cursor);
      if (name === 'ready') this.ready = data;
      if (name === 'bye') asked = data.retry;
    }
    this.#owner.take(items);
    return asked;
  }

  async *#stream(signal) {
    const starts = new Map(this.at), [first] = starts.keys();
    this.#within(2 * PATIENCE);
    const response = await this.#comet.request(`/v1/events?${query(starts)}`, { signal, headers: { Accept: 'text/event-stream' } });
    const read = eventReader(), decoder = new TextDecoder(), reader = response.body.getReader();
    for (this.#within(PATIENCE); ;) {
      const { value, done } = await reader.read();
      if (done) return;
      const items = [];
      for (const { event = '', data: text, id, retry } of read(decoder.decode(value, { stream: true }))) {
        const name = /^comet\.(.*)|/.exec(event)[1] ?? 'message', data = JSON.parse(text);
        const { channel, cursors = { [first]: id } } = data;
        if (name === 'ready') for (const [c, start] of starts) items.push([c, name, { node: data.node, transport: 'sse' }, cursors[c], start]);
        else if (name === 'bye') {
          items.push(...this.#all(name, { ...data, retry }));
          if (/expired|revoked/.test(data.reason)) await this.#comet.token(await this.#comet.token());
        } else items.push([channel, name, data, name === 'gap' ? cursors[channel] : data.id]);
      }
      if (this.ready || items.length) this.#within(2.5 * this.#comet.options.heartbeat);
      yield items;
    }
  }

  async *#polls(signal) {
    for (let wait = 0; this.#polling(); wait = 25) { // the first one tells where we are
      const starts = new Map(this.at), [first] = starts.keys(), began = Date.now();
      this.#within(1000 * wait + 2 * PATIENCE);
      const response = await this.#comet.request(`/v1/poll?${query(starts)}&wait=${wait}`, { signal });
      const { cursor, cursors = { [first]: cursor }, messages, gap } = await response.json();
      const items = gap.map((g) => [g.channel, 'gap', g]);
      for (const m of messages) items.push([m.channel, 'message', m, gap.length ? '' : m.id]); // a gap may have come between them
      for (const c in cursors) if (cursors[c] !== starts.get(c)) items.push([c, 'at', 0, cursors[c]]);
      if (wait && !items.length && Date.now() - began < 1000) return; // a node that leaves
      const node = response.headers.get('Comet-Node');
      // Where the first one began is only known if it was a cursor.
      if (!wait) items.unshift(...[...starts].map(([c, start]) => [c, 'ready', { node, transport: 'poll' }, /^\d/.test(start) ? start : '', start]));
      yield items;
    }
    this.reopen();
  }
}

/** The channels and where each begins: `last=N`, or what a cursor may be. */
function query(starts) {
  const search = new URLSearchParams();
  for (const [channel, start] of starts) {
    const [, last] = /^last=(.*)|/.exec(start);
    search.append('channel', channel);
    search.append('cursor', last ? '' : start);
    search.append('last', last ?? '');
  }
  return search;
}

/** What a Comet has of the lines. */
class Pool {
  #comet; #bus; #leader; #over; #later;
  #tab = randomKey();
  #subscriptions = new Set();
  #closing = new AbortController();
  // Of who leads:
  #leading = false;
  #wants = new Map(); // tab → its channels and where they begin
  #lines = new Set();

  constructor(comet, over) {
    this.#comet = comet;
    this.#over = over;
    this.#open();
  }

  async #open() {
    const name = await this.#comet.shared(), { signal } = this.#closing;
    const closed = new Promise((resolve) => signal.addEventListener('abort', resolve));
    if (signal.aborted) return;
    if (!name) return this.#lead();
    this.#bus = new BroadcastChannel(name);
    this.#bus.onmessage = ({ data }) => this.#hear(data);
    await new Promise((held) => navigator.locks.request(this.#tab, () => { held(); return closed; })); // the leader sees it freed
    navigator.locks.request(name, { signal }, () => { this.#lead(); return closed; }).catch(() => {}); // closed
    this.want();
  }

  enter(subscription) {
    this.#subscriptions.add(subscription);
    this.want();
  }

  leave(subscription) {
    if (this.#subscriptions.delete(subscription)) this.want();
  }

  close() {
    this.#over();
    for (const s of this.#subscriptions) s.close();
    for (const line of this.#lines) line.close();
    this.#closing.abort();
    this.#bus?.close();
  }

  /** Says what this tab wants, once all that came with it is said. */
  async want() {
    await 0;
    if (this.#closing.signal.aborted) return;
    const want = new Map();
    for (const s of this.#subscriptions) s.wants(want);
    this.#post({ want });
  }

  take(items) { if (items.length) this.#post({ items }); }

  /** An error of just some channels is everybody's; else another tab may do better. */
  refused(error, channels) {
    if (error.channels) return this.take(channels.map((channel) => [channel, 'error', { ...error }]));
    for (const s of this.#subscriptions) s.fail(error);
    this.close();
  }

  #lead() {
    this.#leading = true;
    this.#post({ lead: true });
  }

  #post(message) {
    message.tab = this.#tab;
    this.#bus?.postMessage(message);
    this.#hear(message);
  }

  #hear({ tab, lead, want, items }) {
    if (lead) {
      this.#leader = tab;
      this.want();
    }
    if (want && this.#leading) this.#wanted(tab, want);
    if (items && tab === (this.#leader ??= tab)) for (const s of this.#subscriptions) s.take(items);
  }

  #wanted(tab, want) {
    if (!this.#wants.has(tab) && this.#bus && tab !== this.#tab) {
      navigator.locks.request(tab, { signal: this.#closing.signal }, () => this.#wanted(tab, new Map())).catch(() => {});
    }
    this.#wants.set(tab, want);
    this.#later ??= setTimeout(() => this.#arrange(), this.#bus ? 20 : 0);
  }

  /** Has the lines do what is wanted, and says where those are that do. */
  #arrange() {
    this.#later = undefined;
    if (this.#closing.signal.aborted) return;
    const missing = new Map([...this.#wants.values()].flatMap((want) => [...want])), items = [];
    for (const line of this.#lines) {
      for (const [channel, cursor] of line.at) {
        if (!missing.delete(channel)) line.drop(channel);
        else if (line.ready) items.push([channel, 'ready', line.ready, cursor]);
      }
      if (!line.at.size) this.#lines.delete(line);
    }
    this.take(items);
    const starts = [...missing];
    for (const line of this.#lines) this.#fill(line, starts);
    while (starts.length) {
      const line = new Line(this.#comet, this);
      this.#lines.add(line);
      this.#fill(line, starts);
    }
  }

  #fill(line, starts) {
    const some = starts.splice(0, CHANNELS - line.at.size);
    if (some.length) line.add(some);
  }
}

/** See comet.d.ts. A place is where it is in a channel: it has joined the lines, or keeps their items in `past` and catches up by a line of its own. */
class Subscription extends EventTarget {
  state = 'connecting';
  #comet; #pool; #own; #queue; #error; #more; #full; #watched;
  #places = new Map();

  constructor(comet, channels, { cursor = '', last }) {
    super();
    this.#comet = comet;
    for (const channel of channels) {
      const at = (typeof cursor === 'string' ? cursor : cursor[channel]) || '';
      this.#places.set(channel, { channel, at: at || (last ? `last=${last}` : ''), seen: at });
    }
  }

  get cursor() {
    const seen = {};
    for (const { channel, seen: at } of this.#places.values()) if (at) seen[channel] = at;
    return seen;
  }

  /** Begins with the first one. The result takes fn away. */
  on(name, fn) {
    const listener = (e) => fn(e.detail);
    this.addEventListener(name, listener);
    this.#watched ||= name === 'error';
    this.#begin();
    return () => this.removeEventListener(name, listener);
  }

  async *[Symbol.asyncIterator]() {
    this.#queue ??= [];
    this.#begin();
    try {
      for (;;) {
        for (let item; (item = this.#queue.shift());) {
          this.#fire(...item);
          if (item[1] === 'message') yield item[2];
        }
        if (this.#error) throw this.#error;
        if (this.state === 'closed') return;
        if (this.#full) {
          this.#full = false;
          this.#catchUp();
        }
        await new Promise((resolve) => { this.#more = resolve; });
      }
    } finally { this.close(); }
  }

  close() {
    this.#own?.close();
    this.#pool?.leave(this);
    this.#turn('closed');
    this.#more?.();
  }

  fail(error) {
    this.#error = error;
    this.close();
    if (!this.#watched && !this.#queue) console.error(error);
    this.#emit('error', error);
  }

  #begin() {
    if (this.#pool || this.state === 'closed') return;
    this.#pool = this.#comet.pool;
    this.#pool.enter(this);
  }

  #emit(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  #turn(state) {
    if (this.state === state || this.state === 'closed') return false;
    this.state = state;
    this.#emit('state', state);
    return true;
  }

  /** Adds its channels, and where it is in each. */
  wants(want) {
    for (const { channel, at } of this.#places.values()) want.set(channel, want.get(channel) || at);
  }

  /** Takes items of the lines. */
  take(items) {
    for (const item of items) {
      const [channel, name, data] = item, place = this.#places.get(channel);
      if (!place || this.state === 'closed') continue;
      if (name === 'error') this.fail(new CometError(data));
      else if (name === 'ready') this.#meet(place, item);
      else if (name === 'lost') {
        place.met = false;
        this.#turn('connecting');
      } else if (name === 'bye') this.#turn('connecting') && this.#emit(name, data);
      else if (place.joined) this.#deliver(place, item);
      else if (place.past) {
        if (place.past.push(item) > QUEUE) place.past.shift();
        this.#join(place);
      }
    }
  }

  /** The lines are at a place: is it ours? */
  #meet(place, [channel, , data, cursor, start]) {
    place.met = true;
    if (place.at === start || place.at === cursor || !place.at && start === undefined) {
      place.at = cursor || place.at;
      place.seen ||= cursor;
      place.past = [[channel, 'at', 0, place.at]];
      this.#join(place);
    } else {
      place.joined = false;
      place.past = [[channel, 'at', 0, cursor || start]];
      this.#catchUp();
    }
    if ([...this.#places.values()].every(({ met }) => met) && this.#turn('open')) this.#emit('ready', data);
  }

  /** A line of our own brings those up that have not joined. */
  #catchUp() {
    const behind = [...this.#places.values()].filter(({ joined, past }) => past && !joined);
    if (this.#full || behind.every(({ channel }) => this.#own?.at.has(channel))) return;
    this.#own?.close();
    this.#own = new Line(this.#comet, {
      refused: (error) => this.fail(error),
      take: (items) => {
        for (const item of items) {
          const [channel, name, , cursor] = item, place = this.#places.get(channel);
          if (place.joined || this.#full || /lost|bye/.test(name)) continue;
          if (name === 'ready') place.at = cursor || place.at;
          else this.#deliver(place, item);
          this.#join(place);
        }
      },
    });
    this.#own.add(behind.map(({ channel, at }) => [channel, at]));
  }

  /** Joins the lines if they have been where the place is, with what they brought since. */
  #join(place) {
    const i = place.past.findIndex(([, , , cursor]) => cursor === place.at);
    if (i < 0) return;
    const since = place.past.slice(i + 1);
    place.past = undefined;
    place.joined = true;
    this.#own?.drop(place.channel);
    this.take(since);
  }

  /** A loop that is far behind lets go of the lines, and catches up when it has taken what waits. */
  #deliver(place, [channel, name, data, cursor]) {
    if (cursor) place.at = cursor;
    if (!this.#queue) return this.#fire(place, name, data, cursor);
    this.#more?.(this.#queue.push([place, name, data, cursor]));
    if (this.#queue.length < QUEUE) return;
    this.#full = true;
    this.#own?.close();
    for (const p of this.#places.values()) {
      if (p.joined) p.past = [[channel, 'at', 0, p.at]];
      p.joined = false;
    }
  }

  #fire(place, name, data, cursor) {
    if (cursor) place.seen = cursor;
    if (name !== 'at') this.#emit(name, data);
  }
}
