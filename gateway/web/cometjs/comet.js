// The JavaScript client of Comet, for browsers and Node. comet.d.ts has its
// interface; docs/clients.md says how it works, and what places and items are.

const LIMIT = 1000; // messages that wait to be published, or for a loop
const CHANNELS = 64; // of one connection
const PATIENCE = 5000; // ms, for what comes at once unless a proxy holds it back
const AGAIN = 'again', LATE = 'late'; // why a connection is cut

const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
const pathOf = (channel) => `/v1/channels/${encodeURIComponent(channel)}/`;
const nameOf = (type) => /^comet\.(.*)|/.exec(type)[1] ?? 'message';
const offline = () => globalThis.navigator?.onLine === false;
const final = ({ status }) => status >= 400 && status < 500 && status !== 408 && status !== 429;

/** Full jitter: who failed together shall not return together. */
const backoff = (failures, asked = 0) =>
  Math.max(asked * (1 + Math.random() / 4), Math.random() * Math.min(30_000, 1000 * 2 ** failures));

// Called when the network comes or goes, or somebody looks at the page.
const sleepers = new Set();
const wake = () => sleepers.forEach((fn) => fn());
for (const event of ['online', 'offline', 'pageshow']) globalThis.addEventListener?.(event, wake);
globalThis.document?.addEventListener('visibilitychange', wake);

async function pause(ms) {
  let timer, end;
  await new Promise((resolve) => {
    sleepers.add(end = resolve);
    timer = setTimeout(end, ms);
  });
  sleepers.delete(end);
  clearTimeout(timer);
}

export class CometError extends Error {
  constructor(problem) { Object.assign(super(problem.detail), problem); }
}

/** Reads what Comet sends as text/event-stream, in any pieces; gives the events that end in each. */
export function eventReader() {
  let rest = '';
  return (text) => {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop();
    if (rest.length > 8 << 20) throw new Error('an event is over 8 MiB');
    return blocks.map((block) => Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/s))))
      .filter(({ data }) => data);
  };
}

export class Comet {
  #url; #token; #pool;
  #outbox = new Map(); // channel → its last message
  #waiting = 0;

  constructor(url = '/', options) {
    this.#url = new URL(url, globalThis.location?.href).href.replace(/\/$/, '');
    this.options = { heartbeat: 25_000, transport: 'auto', credentials: 'omit', share: true, ...options };
  }

  subscribe(channels, options = {}) { return new Subscription(() => this.#pool ??= new Pool(this, this.#url), [channels].flat(), options); }

  async publish(channel, data, { type = 'message', ephemeral = false, key } = {}) {
    const body = JSON.stringify(data);
    if (!body) throw new TypeError('data has no JSON');
    if (this.#waiting >= LIMIT) throw new Error(`${LIMIT} messages wait to be published`);
    const headers = { 'Content-Type': 'application/json', ...!ephemeral && { 'Idempotency-Key': key ?? randomKey() } };
    const send = () => this.#send(`${pathOf(channel)}messages?${new URLSearchParams({ type, ephemeral })}`, { method: 'POST', headers, body }, ephemeral);
    const sent = Promise.resolve(this.#outbox.get(channel)).then(send, send);
    this.#outbox.set(channel, sent);
    this.#waiting++;
    try {
      const receipt = await sent;
      return { ...receipt, duplicate: receipt.duplicate && !!key }; // of its own first try it is none
    } finally {
      this.#waiting--;
      if (this.#outbox.get(channel) === sent) this.#outbox.delete(channel);
    }
  }

  /** Tries again for 4 minutes, as the server knows a key for 5; what has no key it tries once. */
  async #send(path, init, once) {
    for (let failures = 0, began; ;) {
      while (offline() && !once) await pause(60_000);
      began ??= Date.now();
      try {
        return await this.#json(path, { ...init, signal: AbortSignal.timeout(15_000) });
      } catch (error) {
        if (once || final(error) || Date.now() - began > 240_000) throw error;
        await pause(backoff(failures++, error.wait));
      }
    }
  }

  history(channel, options) { return this.#json(`${pathOf(channel)}messages?${new URLSearchParams(options)}`); }

  presence(channel, options) { return this.#json(`${pathOf(channel)}presence?${new URLSearchParams(options)}`); }

  close() {
    this.#pool?.close();
    this.#pool = undefined;
  }

  async #json(...request) { return (await this.request(...request)).json(); }

  /** A good answer. A refused token is renewed, once. */
  async request(path, init, renewed) {
    const token = await this.token(), { credentials } = this.options;
    const headers = { ...init?.headers, ...token && { Authorization: `Bearer ${token}` } };
    const response = await fetch(this.#url + path, { credentials, cache: 'no-store', ...init, headers });
    const { ok, status } = response;
    if (ok) return response;
    const problem = await response.json().catch(() => {});
    if (status === 401 && token && !renewed && await this.token(token) !== token) return this.request(path, init, true);
    throw new CometError({ detail: `the server answered ${status}`, ...problem, status, wait: Math.min(300, response.headers.get('Retry-After')) * 1000 || 0 });
  }

  /** The token; another one, if there is, for one that was refused. */
  async token(refused) {
    const known = this.#token ??= this.#ask();
    if (refused && await known === refused && this.#token === known) this.#token = this.#ask();
    return this.#token;
  }

  async #ask() {
    const { token } = this.options;
    for (let failures = 0; ;) {
      try {
        return await (typeof token === 'function' ? token() : token);
      } catch (error) {
        console.warn('comet: no token:', error);
        await pause(backoff(failures++));
      }
    }
  }
}

/** A connection, as long as it has channels. Its owner has take(items) and refused(error, channels). */
class Line {
  at = new Map(); // channel → its cursor, or where it begins
  ready; #comet; #owner; #running; #timer; #heard;
  #control = new AbortController();
  #pollsUntil = 0;

  constructor(comet, owner) {
    this.#comet = comet;
    this.#owner = owner;
    if (comet.options.transport === 'poll') this.#pollsUntil = Infinity;
  }

  add(starts) {
    if (!starts.length) return;
    for (const [channel, start] of starts) this.at.set(channel, start);
    this.#reopen();
    this.#running ??= this.#run();
  }

  /** Leaves the channel out; the server hears of it soon. */
  drop(channel) {
    this.at.delete(channel);
    if (this.at.size) setTimeout(() => this.#reopen(), PATIENCE);
    else this.#reopen();
  }

  close() {
    this.at.clear();
    this.#reopen();
  }

  #reopen() {
    this.#control.abort(AGAIN);
    wake();
  }

  async #run() {
    const { heartbeat, transport } = this.#comet.options;
    const check = () => (offline() || Date.now() - this.#heard > 1.2 * heartbeat) && this.#control.abort(LATE);
    sleepers.add(check);
    for (let failures = 0; this.at.size;) {
      const { signal } = this.#control = new AbortController(), polls = Date.now() < this.#pollsUntil;
      let asked, error = {};
      this.ready = undefined;
      try {
        for await (const items of polls ? this.#polls(signal) : this.#stream(signal)) asked = this.#bring(items, signal);
      } catch (e) { error = e; }
      clearTimeout(this.#timer);
      if (signal.reason === AGAIN) continue;
      if (final(error)) {
        const { channels = [...this.at.keys()] } = error;
        for (const channel of channels) this.at.delete(channel);
        this.#owner.refused(error, channels);
      } else if (signal.reason === LATE && !this.ready && !polls && !offline() && transport === 'auto') {
        this.#pollsUntil = Date.now() + 600_000;
      } else {
        if (this.ready) failures = 0;
        this.ready = undefined;
        this.#control.abort();
        this.#owner.take(this.#all('lost'));
        await pause(backoff(failures++, asked ?? error.wait));
      }
    }
    sleepers.delete(check);
    this.#running = undefined;
  }

  /** Cuts the connection unless something comes in time. */
  #within(ms) {
    this.#heard = Date.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#control.abort(LATE), ms);
  }

  #all(name, data) { return [...this.at.keys()].map((channel) => [channel, name, data]); }

  /** Hands on what is still wanted, and tells when the server wants us back. */
  #bring(items, signal) {
    signal.throwIfAborted();
    let asked;
    items = items.filter(([channel, name, data, cursor]) => {
      if (!this.at.has(channel)) return false;
      if (cursor) this.at.set(channel, cursor);
      if (name === 'ready') this.ready = data;
      asked ??= data.retry;
      return true;
    });
    this.#owner.take(items);
    return asked;
  }

  #get(path, wait, init) {
    this.#within(wait + 2 * PATIENCE);
    const search = new URLSearchParams();
    for (const [channel, start] of this.at) { // a number: so many of the last messages
      search.append('channel', channel);
      search.append('cursor', start > 0 ? '' : start);
      search.append('last', start > 0 ? start : '');
    }
    return this.#comet.request(`${path}${search}`, init);
  }

  async *#stream(signal) {
    const starts = [...this.at];
    const { body } = await this.#get('/v1/events?', 0, { signal, headers: { Accept: 'text/event-stream' } });
    const read = eventReader(), reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (this.#within(PATIENCE); ;) {
      const { value, done } = await reader.read(), items = [];
      if (done) return;
      for (const { event = '', data: text, id, retry } of read(value)) {
        const name = nameOf(event), data = JSON.parse(text), { channel, node, reason, cursors = { [channel ?? starts[0][0]]: id } } = data;
        if (name === 'ready') {
          for (const [c, start] of starts) items.push([c, name, { node, transport: 'sse' }, cursors[c], start]);
        } else if (name === 'bye') {
          items.push(...this.#all(name, { reason, retry }));
          if (/expired|revoked/.test(reason)) await this.#comet.token(await this.#comet.token());
        } else items.push([channel, name, data, name === 'gap' ? cursors[channel] : data.id]);
      }
      if (this.ready || items.length) this.#within(2.5 * this.#comet.options.heartbeat);
      yield items;
    }
  }

  async *#polls(signal) {
    for (let wait = 0; Date.now() < this.#pollsUntil; wait = 25) { // the first one tells where we are
      const starts = [...this.at], began = Date.now();
      const response = await this.#get(`/v1/poll?wait=${wait}&`, 1000 * wait, { signal });
      const { cursor, messages, gap, cursors = { [starts[0][0]]: cursor } } = await response.json();
      const items = gap.map((g) => [g.channel, 'gap', g]);
      for (const m of messages) items.push([m.channel, nameOf(m.type), m, gap.length ? '' : m.id]); // a gap may belong between them
      for (const [c, start] of starts) if (cursors[c] !== start) items.push([c, 'at', 0, cursors[c]]);
      if (wait && !items.length && Date.now() - began < 1000) return; // the node leaves
      const data = { node: response.headers.get('Comet-Node'), transport: 'poll' };
      if (!wait) items.unshift(...starts.map(([c, start]) => [c, 'ready', data, /-/.test(start) ? start : '', start]));
      yield items;
    }
    this.#reopen();
  }
}

/** The lines of all tabs that share: the one that holds a lock has them, and relays what they bring. */
class Pool {
  comet; #bus; #leader; #soon; #leads;
  #tab = randomKey();
  #subscriptions = new Set();
  #over = new AbortController();
  #wants = new Map(); // tab → its channels and where they begin
  #lines = new Set();

  constructor(comet, url) {
    this.comet = comet;
    this.#open(url);
  }

  async #open(url) {
    let { share, credentials } = this.comet.options;
    const { signal } = this.#over, { location, navigator } = globalThis;
    const over = new Promise((resolve) => signal.addEventListener('abort', resolve));
    if (share === true) share = credentials === 'omit' && userOf(await this.comet.token()); // a cookie does not say whose it is
    if (signal.aborted) return;
    if (share === false || !location || !navigator.locks) return this.#lead();
    const name = `comet ${url} ${share}`, { locks } = navigator;
    this.#bus = new BroadcastChannel(name);
    this.#bus.onmessage = ({ data }) => this.#hear(data);
    await new Promise((held) => locks.request(this.#tab, () => { held(); return over; })); // whoever gets it knows that we are gone
    locks.request(name, { signal }, () => { this.#lead(); return over; }).catch(() => {}); // closed
    this.want();
  }

  #lead() {
    this.#leads = true;
    this.#post({ lead: true });
  }

  enter(subscription) {
    this.#subscriptions.add(subscription);
    this.want();
  }

  leave(subscription) { if (this.#subscriptions.delete(subscription)) this.want(); }

  close() {
    for (const s of this.#subscriptions) s.close();
    for (const line of this.#lines) line.close();
    this.#over.abort();
    this.#bus?.close();
  }

  /** Says what this tab wants. */
  async want() {
    await 0; // for others that enter too
    if (this.#over.signal.aborted) return;
    const want = new Map();
    for (const s of this.#subscriptions) s.wants(want);
    this.#post({ want });
  }

  take(items) { this.#post({ items }); }

  /** What is wrong with a channel is so for all; what is wrong with our token may not be. */
  refused(error, channels) {
    if (error.channels) return this.take(channels.map((channel) => [channel, 'error', { ...error }]));
    for (const s of this.#subscriptions) s.fail(error);
    this.comet.close();
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
    if (want && this.#leads) this.#wanted(tab, want);
    if (items && tab === (this.#leader ??= tab)) for (const s of this.#subscriptions) s.take(items);
  }

  #wanted(tab, want) {
    if (!this.#wants.has(tab) && tab !== this.#tab) {
      navigator.locks.request(tab, { signal: this.#over.signal }, () => this.#wanted(tab, new Map())).catch(() => {});
    }
    this.#wants.set(tab, want);
    this.#soon ??= setTimeout(() => this.#arrange(), this.#bus && 20);
  }

  /** Has the lines bring what is wanted, and tells where those are that do. */
  #arrange() {
    this.#soon = undefined;
    if (this.#over.signal.aborted) return;
    const missing = new Map([...this.#wants.values()].flatMap((want) => [...want]));
    for (const line of this.#lines) {
      for (const [channel, cursor] of line.at) {
        if (!missing.delete(channel)) line.drop(channel);
        else if (line.ready) this.take([[channel, 'ready', line.ready, cursor]]);
      }
      if (!line.at.size) this.#lines.delete(line);
    }
    const starts = [...missing];
    for (const line of this.#lines) line.add(starts.splice(0, CHANNELS - line.at.size));
    while (starts.length) {
      const line = new Line(this.comet, this);
      this.#lines.add(line);
      line.add(starts.splice(0, CHANNELS));
    }
  }
}

/** Whom a token is for, and for what; another token of the same user says the same. */
function userOf(token = '') {
  try {
    const { iss, sub, comet } = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    return JSON.stringify([iss, sub, comet]);
  } catch { return token; }
}

class Subscription extends EventTarget {
  state = 'connecting';
  #poolOf; #pool; #own; #queue; #error; #more; #full; #watched;
  #places = new Map();

  constructor(poolOf, channels, { cursor = '', last }) {
    super();
    this.#poolOf = poolOf;
    for (const channel of channels) {
      const seen = typeof cursor === 'string' ? cursor : cursor[channel];
      this.#places.set(channel, { channel, seen, at: seen || last || '' });
    }
  }

  get cursor() { return Object.fromEntries([...this.#places].map(([channel, { seen }]) => [channel, seen || ''])); }

  on(name, fn) {
    const listener = ({ detail }) => fn(detail);
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
        for (let item; item = this.#queue.shift();) {
          this.#fire(...item);
          if (item[1] === 'message') yield item[2];
        }
        if (this.#error) throw this.#error;
        if (this.state === 'closed') return;
        if (this.#full) this.#catchUp(this.#full = false);
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
    this.#pool = this.#poolOf();
    this.#pool.enter(this);
  }

  #emit(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  #turn(state) {
    if (this.state === state || this.state === 'closed') return false;
    this.#emit('state', this.state = state);
    return true;
  }

  wants(want) { for (const { channel, at } of this.#places.values()) want.set(channel, want.get(channel) || at); }

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
        if (place.past.push(item) > LIMIT) place.past.shift();
        this.#join(place);
      }
    }
  }

  /** The lines are somewhere: join them there, or catch up first. */
  #meet(place, [channel, , data, cursor, start]) {
    place.met = true;
    place.joined = false;
    if ([start, cursor].includes(place.at) || !place.at && start === undefined) {
      place.at = cursor || place.at;
      place.seen ||= cursor;
    }
    place.past = [[channel, 'at', 0, cursor || start]];
    this.#join(place);
    this.#catchUp();
    if ([...this.#places.values()].every(({ met }) => met) && this.#turn('open')) this.#emit('ready', data);
  }

  /** Joins the lines where they have been at our place, with what they brought since. */
  #join(place) {
    const i = place.past.findIndex(([, , , cursor]) => cursor === place.at);
    if (i < 0) return;
    const since = place.past.splice(i + 1);
    place.joined = true;
    this.#own?.drop(place.channel);
    this.take(since);
  }

  /** A line of its own brings forward what has not joined. */
  #catchUp() {
    const behind = [...this.#places.values()].filter(({ past, joined }) => past && !joined);
    if (this.#full || behind.every(({ channel }) => this.#own?.at.has(channel))) return;
    this.#own?.close();
    this.#own = new Line(this.#pool.comet, {
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

  /** If a loop is too far behind, it lets go of the lines, and catches up later. */
  #deliver(place, [channel, name, data, cursor]) {
    if (cursor) place.at = cursor;
    if (!this.#queue) return this.#fire(place, name, data, cursor);
    this.#queue.push([place, name, data, cursor]);
    this.#more?.();
    if (this.#queue.length < LIMIT) return;
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
