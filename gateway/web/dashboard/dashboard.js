// The dashboard: what the nodes say, live, through Comet's own event stream.
import { $, bytes, fine, make, number, plural, put, short, size, span } from './text.js';
import { ask, askWith, signedIn, signOut, Stream } from './server.js';
import { Charts, series } from './charts.js';
import { Cluster, WINDOW } from './cluster.js';
import { inspect } from './inspector.js';

const MAX_LAST = 1000; // messages that a stream may begin with
const CHANNELS = 12;
const LOOK = 4_000; // ms between two looks at the channels

const cluster = new Cluster();
const charts = new Charts(cluster);

// ---- Signing in ---------------------------------------------------------------
askWith((problem) => new Promise((resolve) => {
  put($('sign-in-problem'), problem);
  $('token').value = '';
  $('sign-in').showModal();
  $('sign-in-form').onsubmit = (e) => {
    e.preventDefault();
    $('sign-in').close();
    resolve($('token').value.trim());
  };
}));
$('sign-in').oncancel = (e) => e.preventDefault(); // there is nothing to see without
$('sign-out').onclick = signOut;

// ---- The nodes ----------------------------------------------------------------
let stream = null;
let live = false; // while not, what was last heard stays

async function start() {
  try {
    cluster.reset(await ask('/v1/nodes'));
  } catch {
    status('away', 'reconnecting…');
    setTimeout(start, 2_000);
    return;
  }
  $('sign-out').hidden = !signedIn();
  show();
  const past = Math.ceil(WINDOW / cluster.interval) * Math.max(1, cluster.nodes.size);
  stream = new Stream('comet.nodes', { last: Math.min(MAX_LAST, past), on: heed, lost });
  lookAtChannels();
}

function lost() {
  live = false;
  status('away', 'reconnecting…');
}

function heed(kind, value) {
  if (kind === 'comet.ready') back();
  if (kind !== 'message') return;
  if (value.type === 'report') cluster.add(value.data, value.time);
  if (value.type === 'left') cluster.remove(value.data.id);
  showSoon();
}

/** Removes nodes that have gone meanwhile. */
async function back() {
  try {
    cluster.reset(await ask('/v1/nodes'));
    live = true;
    status('connected', 'live');
  } catch { /* the stream is about to be lost too */ }
}

function status(state, text) {
  $('status').dataset.state = state;
  put($('status'), text);
}

let pending = false;
function showSoon() {
  if (pending) return;
  pending = true;
  setTimeout(() => { pending = false; show(); }, 100);
}

function show() {
  if (live) cluster.tidy();
  const nodes = cluster.now();
  showTiles(nodes);
  showNodes(nodes);
  charts.draw();
}
setInterval(() => { if (stream) show(); }, 1000); // nodes also leave without a word

const sum = (nodes, of) => nodes.reduce((n, r) => n + of(r), 0);

let relaySeen = false; // nodes without Redis measure no relay delay

function showTiles(nodes) {
  const ready = nodes.filter((r) => r.ready).length;
  put($('summary'), `${plural(nodes.length, 'node')} · ${ready === nodes.length ? 'all ready' : `${nodes.length - ready} not ready`}`);
  put($('streams'), number(sum(nodes, (r) => r.connections.streams)));
  const by = ['sse', 'ndjson', 'poll', 'bayeux'].map((t) => [t, sum(nodes, (r) => r.connections.by?.[t] ?? 0)]).filter(([, n]) => n > 0);
  put($('streams-note'), by.map(([t, n]) => `${number(n)} ${t}`).join(' · ') || plural(sum(nodes, (r) => r.connections.total), 'connection'));
  const written = sum(nodes, (r) => r.bytes?.per_second ?? 0);
  for (const key of ['deliveries', 'publishes']) {
    const bytesToo = key === 'deliveries' && written > 0 ? ` · ${size(written)}/s` : '';
    put($(key), number(Math.round(sum(nodes, (r) => r[key].per_second))));
    put($(`${key}-note`), `${short(sum(nodes, (r) => r[key].total))} in all${bytesToo}`);
  }
  const relays = nodes.map((r) => r.relay_delay_ms).filter((ms) => ms != null);
  relaySeen ||= relays.length > 0;
  for (const part of [$('relay').closest('.tile'), document.querySelector('[data-chart=relay]').closest('figure')]) part.hidden = !relaySeen;
  put($('relay'), relays.length ? fine(Math.max(...relays)) : '–');
}

function showNodes(nodes) {
  $('no-nodes').hidden = nodes.length > 0;
  const rows = new Map([...$('nodes').rows].map((row) => [row.dataset.id, row]));
  nodes.forEach((r, i) => {
    const row = rows.get(r.id) ?? newRow(r);
    rows.delete(r.id);
    fill(row, r);
    if ($('nodes').rows[i] !== row) $('nodes').insertBefore(row, $('nodes').rows[i] ?? null);
  });
  for (const row of rows.values()) row.remove();
}

function newRow(r) {
  const row = $('node').content.firstElementChild.cloneNode(true);
  row.dataset.id = r.id;
  row.querySelector('.swatch').style.background = `var(--${series(cluster.colour(r.id))})`;
  Object.assign(row.querySelector('.name'), { textContent: r.name, title: `${r.id} · ${r.url} · ${r.version}` });
  return row;
}

function fill(row, r) {
  const state = r.draining ? 'draining' : r.ready ? 'ready' : 'not ready';
  const badge = row.querySelector('.badge');
  put(badge, state);
  badge.dataset.state = state;
  badge.title = (r.reasons ?? []).join('; ');
  const values = [
    number(r.connections.streams), number(Math.round(r.deliveries.per_second)),
    r.cpu_percent == null ? '–' : `${fine(r.cpu_percent)} %`,
    bytes(r.rss_bytes || r.heap_bytes),
    r.relay_delay_ms == null ? '–' : `${fine(r.relay_delay_ms)} ms`,
    span(Date.parse(r.time) - Date.parse(r.started)),
  ];
  row.querySelectorAll('[data-label]').forEach((cell, i) => put(cell, values[i]));
}

// ---- The channels -------------------------------------------------------------
let looking = 0; // a timer

async function lookAtChannels() {
  clearTimeout(looking);
  const prefix = $('prefix').value;
  try {
    const answer = await ask(`/v1/channels?${new URLSearchParams({ prefix, limit: CHANNELS })}`);
    if (prefix === $('prefix').value) showChannels(answer);
  } catch (error) {
    put($('channels-note'), error.message);
  }
  clearTimeout(looking);
  looking = setTimeout(lookAtChannels, LOOK);
}

function showChannels({ channels, found, complete }) {
  $('no-channels').hidden = channels.length > 0;
  const most = channels[0]?.subscribers ?? 1;
  const items = new Map([...$('channels').children].map((item) => [item.dataset.channel, item]));
  $('channels').append(...channels.map((c) => {
    const item = items.get(c.channel) ?? newChannel(c.channel);
    items.delete(c.channel);
    item.style.setProperty('--share', `${(100 * c.subscribers) / most}%`);
    put(item.querySelector('b'), `${complete ? '' : '≥ '}${number(c.subscribers)}`);
    return item;
  }));
  for (const item of items.values()) item.remove();
  const more = found > channels.length ? `${number(found)} channels with subscribers` : plural(found, 'channel');
  put($('channels-note'), complete ? more : `at least ${more}: nodes report their busiest ones`);
}

function newChannel(name) {
  const item = make('li');
  item.dataset.channel = name;
  const link = Object.assign(make('a', '', name), { href: `#${encodeURIComponent(name)}`, title: name });
  item.append(link, make('b'));
  return item;
}

$('prefix').oninput = () => {
  clearTimeout(looking);
  looking = setTimeout(lookAtChannels, 250);
};

// ---- The channel that is looked at ----------------------------------------------
function channelInURL() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ''; }
}
addEventListener('hashchange', () => inspect(channelInURL()));

start().then(() => inspect(channelInURL()));
