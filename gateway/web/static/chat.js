// The chat page. A room is the channel `chat/<room>`; a message's data is
// {name, text, node, key}, where node is the one its sender was connected to.
// Whatever else someone publishes there is shown too, and always as text.

const HISTORY = 50; // messages shown on entering a room
const KEPT = 1000; // messages kept on the page; older ones leave it
const TRIES = 5; // of one publish, before the person is asked

const $ = (id) => document.getElementById(id);
const make = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Milliseconds, from 0.5 s, doubled with each failure, to 15 s; half of it is chance, so that pages do not come back in step. */
const backoff = (failures) => Math.min(15_000, 1000 * 2 ** failures) * (0.5 + Math.random() / 2);

/** 128 random bits. crypto.randomUUID is missing where a page comes over plain http from another machine. */
const randomKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16).padStart(8, '0')).join('');

// ---- The connection -------------------------------------------------------
/**
 * Follows a channel until close(); after each loss it goes on behind the last
 * event. EventSource mends a broken connection by itself but gives up at any
 * answer other than 200: then a new one takes its place. handlers: event name →
 * function of the event's data; lost: called at every loss. */
class Stream {
  #channel; #handlers; #lost; #source; #timer; #cursor = ''; #failures = 0;

  constructor(channel, handlers, lost) {
    this.#channel = channel;
    this.#handlers = handlers;
    this.#lost = lost;
    this.open();
  }

  /** Connects at once, in place of any connection there is. */
  open() {
    this.close();
    const from = this.#cursor ? { cursor: this.#cursor } : { last: HISTORY };
    this.#source = new EventSource(`/v1/events?${new URLSearchParams({ channel: this.#channel, ...from })}`);
    this.#source.addEventListener('error', () => this.#mend());
    for (const [event, handle] of Object.entries(this.#handlers)) {
      this.#source.addEventListener(event, (e) => {
        this.#cursor = e.lastEventId || this.#cursor;
        this.#failures = 0;
        handle(JSON.parse(e.data));
      });
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  #mend() {
    const { readyState } = this.#source;
    if (readyState === EventSource.OPEN) return; // it was a message of the type "error"
    if (readyState === EventSource.CLOSED) this.#timer = setTimeout(() => this.open(), backoff(this.#failures++));
    this.#lost();
  }
}

/** Publishes, again and again if need be; the key lets only one of the tries count. */
async function publish({ channel, data }) {
  for (let failures = 0; ; await sleep(backoff(failures++))) {
    try {
      return await post(channel, data);
    } catch (error) {
      if (error.final || failures + 1 === TRIES) throw error;
    }
  }
}

async function post(channel, data) {
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': data.key };
  const request = { method: 'POST', headers, body: JSON.stringify(data), signal: AbortSignal.timeout(10_000) };
  const response = await fetch(`/v1/channels/${encodeURIComponent(channel)}/messages`, request)
    .catch(() => { throw new Error('the server cannot be reached'); });
  if (response.ok) return;
  const problem = await response.json().catch(() => ({}));
  const final = response.status < 500 && response.status !== 429; // asking again would not help
  throw Object.assign(new Error(problem.detail || problem.title || `the server answered ${response.status}`), { final });
}

// ---- The conversation -----------------------------------------------------
// Tab and name are this tab's own, so that two tabs can be two people, and
// outlive a reload. Each message's key begins with its tab: it tells our own.
const tab = recall('sessionStorage', 'tab') || remember('sessionStorage', 'tab', randomKey());
let name = recall('sessionStorage', 'name');
let room = '';
let node = ''; // that we are connected to, or last were
let stream = null;
let sending = Promise.resolve(); // settles after the last publish: messages go out as they were typed
const shown = new Set(); // IDs of the messages on the page
const pending = new Map(); // key → element of a message of ours that has not come back

function enter(newRoom) {
  room = remember('localStorage', 'room', newRoom);
  location.hash = encodeURIComponent(room);
  $('title').textContent = `#${room}`;
  document.title = `#${room} · Comet chat`;
  for (const list of [$('log'), $('pending')]) list.replaceChildren();
  for (const known of [shown, pending]) known.clear();
  toBottom();
  showStatus('away', 'connecting…');
  let parting = '';
  stream?.close();
  stream = new Stream(`chat/${room}`, {
    'comet.ready': (ready) => {
      [node, parting] = [ready.node, ''];
      showStatus('connected', 'connected to ', badge(node));
    },
    'comet.gap': (gap) => append(make('p', 'gap', `some messages may be missing here (${gap.reason})`)),
    'comet.bye': (bye) => { parting = ` (${node}: ${bye.reason})`; },
    message: receive,
  }, () => showStatus('away', `reconnecting…${parting}`));
}

function receive(message) {
  if (message.id && shown.has(message.id)) return;
  shown.add(message.id);
  const said = read(message.data);
  pending.get(said.key)?.remove();
  pending.delete(said.key);
  append(bubble(said, message));
}

/** What a message says, whoever published it and in whatever form. */
function read(data) {
  if (typeof data === 'string') return { text: data };
  const said = Object.fromEntries(Object.entries(data ?? {}).filter(([, value]) => typeof value === 'string'));
  return said.text === undefined ? { text: JSON.stringify(data, null, 2), json: true } : said;
}

/** Sends text, and shows it as pending until it comes back through the stream. */
function say(text) {
  const data = { name, text, node, key: `${tab}.${randomKey()}` };
  const element = bubble(data, { time: Date.now() });
  element.classList.add('pending');
  pending.set(data.key, element);
  $('pending').append(element);
  toBottom();
  send({ channel: `chat/${room}`, data, element });
}

function send(message) {
  note(message.element, 'sending…');
  sending = sending.then(() => publish(message)).then(
    () => note(message.element, 'sent'),
    (error) => note(message.element, `not sent: ${error.message}`, () => send(message)),
  );
}

function note(element, text, retry) {
  const state = make('p', 'state', text);
  if (retry) state.append(Object.assign(make('button', '', 'Retry'), { type: 'button', onclick: retry }));
  element.classList.toggle('failed', !!retry);
  element.querySelector('.state')?.remove();
  element.append(state);
  if (atBottom) toBottom();
}

// ---- How it looks ---------------------------------------------------------
function bubble(said, { id = '', time }) {
  const element = $('message').content.firstElementChild.cloneNode(true);
  const part = (selector) => element.querySelector(selector);
  const date = new Date(time);
  element.dataset.id = id;
  element.classList.toggle('own', !!said.key?.startsWith(`${tab}.`));
  part('.name').textContent = said.name ?? '';
  if (said.node) part('.route').append(...route(said.node));
  Object.assign(part('.text'), { textContent: said.text, className: said.json ? 'text json' : 'text' });
  Object.assign(part('time'), { dateTime: date.toISOString(), title: date.toLocaleString(), textContent: clock(date) });
  return element;
}

/** The node that a message was sent through and, if ours is another, how it came here. */
function route(from) {
  return from === node ? [badge(from)] : [badge(from), make('span', 'arrow', '→'), badge(node)];
}

function badge(node) {
  const element = Object.assign(make('span', 'node', node), { title: `node ${node}` });
  // Names that differ by one at the end, as node-1 and node-2, end up a golden angle apart.
  const number = Array.from(node).reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 1_000_003, 0);
  element.style.setProperty('--hue', ((number * 137.508) % 360).toFixed(1));
  return element;
}

function clock(date) {
  const day = date.toDateString() === new Date().toDateString() ? {} : { month: 'short', day: 'numeric' };
  return date.toLocaleString([], { ...day, hour: '2-digit', minute: '2-digit' });
}

function append(element) {
  const log = $('log');
  log.append(element);
  if (log.childElementCount > KEPT) {
    shown.delete(log.firstElementChild.dataset.id);
    log.firstElementChild.remove();
  }
  if (atBottom) toBottom();
  else $('newer').hidden = false;
}

function showStatus(state, ...content) {
  $('status').dataset.state = state;
  $('status').replaceChildren(...content);
}

// ---- Controls -------------------------------------------------------------
let atBottom = true; // where the person last scrolled to; a new message does not change it
function toBottom() {
  $('scroller').scrollTop = $('scroller').scrollHeight;
  atBottom = $('newer').hidden = true;
}
$('scroller').onscroll = () => {
  const { scrollTop, clientHeight, scrollHeight } = $('scroller');
  atBottom = scrollHeight - scrollTop - clientHeight < 40;
  if (atBottom) $('newer').hidden = true;
};
new ResizeObserver(() => { if (atBottom) toBottom(); }).observe($('scroller'));
$('newer').onclick = toBottom;

$('composer').onsubmit = (e) => {
  e.preventDefault();
  const text = $('text').value.trim();
  if (text) say(text);
  $('text').value = '';
  $('text').focus();
};
$('text').onkeydown = (e) => {
  if (e.key !== 'Enter' || e.shiftKey || e.isComposing) return;
  e.preventDefault();
  $('composer').requestSubmit();
};

function askWhoAndWhere(suggestedRoom) {
  $('name').value = name || recall('localStorage', 'name');
  $('room').value = suggestedRoom || recall('localStorage', 'room') || 'lobby';
  $('cancel').hidden = !room;
  checkFields();
  if (!$('join').open) $('join').showModal();
}

function checkFields() {
  $('name').setCustomValidity($('name').value.trim() ? '' : 'Give a name.');
  $('room').setCustomValidity(roomProblem($('room').value.trim()));
}

/** Why room cannot be one, or ''. With `chat/` before it, it must be a channel name: at most 255 bytes. */
function roomProblem(room) {
  if (!room) return 'Give a room.';
  if (/[{}\p{Cc}\p{Cs}]/u.test(room)) return 'A room cannot have { } or control characters in its name.';
  return room.length > 100 || new TextEncoder().encode(room).length > 250 ? 'This is too long for a room.' : '';
}

function become(newName) {
  for (const storage of ['localStorage', 'sessionStorage']) remember(storage, 'name', newName);
  name = $('who').textContent = newName;
}

$('join-form').oninput = checkFields;
$('join-form').onsubmit = (e) => {
  e.preventDefault();
  const chosen = $('room').value.trim();
  become($('name').value.trim());
  if (chosen !== room) enter(chosen);
  $('join').close();
  $('text').focus();
};
$('change').onclick = () => askWhoAndWhere(room);
$('cancel').onclick = () => $('join').close();
$('join').onclose = () => { if (!room) askWhoAndWhere(); }; // Escape, with no room to go back to

addEventListener('hashchange', () => { if (roomInURL() !== room) start(); });
addEventListener('online', () => stream?.open());

// The browser may forbid storage; then nothing is remembered, and that is all.
function recall(storage, key) {
  try { return window[storage].getItem(`comet.${key}`) ?? ''; } catch { return ''; }
}
function remember(storage, key, value) {
  try { window[storage].setItem(`comet.${key}`, value); } catch { /* as above */ }
  return value;
}

function roomInURL() {
  try { return decodeURIComponent(location.hash.slice(1)).trim(); } catch { return ''; }
}

function start() {
  const wanted = roomInURL();
  if (!name || roomProblem(wanted)) return askWhoAndWhere(wanted);
  become(name);
  enter(wanted);
}

start();
