// The inspector: one channel, who is there, what is said, and a test message; or a
// pattern, and what is said in its channels.
import { $, clock, make, plural, put } from './text.js';
import { ask, Stream } from './server.js';

const LAST = 20; // messages shown at first
const KEPT = 100;
const USERS = 30; // shown by name
const LOOK = 5_000; // ms between two looks at who is there

const isPattern = (name) => name.includes('*');
const path = (channel) => `/v1/channels/${encodeURIComponent(channel)}`;

let channel = '';
let stream = null;
let looking = 0; // a timer

export function inspect(name) {
  channel = name;
  stream?.close();
  clearTimeout(looking);
  $('channel').value = name;
  $('inspected').hidden = !name;
  $('no-channel').hidden = !!name;
  $('messages').replaceChildren(make('p', 'none', 'Nothing is kept here.'));
  $('users').replaceChildren();
  for (const id of ['present', 'published']) put($(id), '\u00a0');
  if (!name) return;
  state('away', 'connecting…');
  stream = new Stream(name, { last: LAST, on: receive, lost: ({ detail }) => state('away', detail ?? 'reconnecting…') });
  $('publish').hidden = isPattern(name); // which is of one channel, as is presence
  if (!isPattern(name)) look();
}

function state(is, text) {
  $('inspected-state').dataset.state = is;
  put($('inspected-state'), text);
}

function receive(kind, value) {
  switch (kind) {
    case 'comet.ready': return state('connected', 'live');
    case 'comet.gap': return show(make('p', 'gap', `messages may be missing here (${value.reason})`));
    case 'comet.join':
    case 'comet.leave':
      clearTimeout(looking);
      looking = setTimeout(look, 300); // several come together
      return show(message(value));
    case 'message': return show(message(value));
  }
}

function show(element) {
  const list = $('messages');
  list.querySelector('.none')?.remove();
  list.prepend(element);
  while (list.childElementCount > KEPT) list.lastElementChild.remove();
}

function message({ id, channel: of, type, data, time, from, tags }) {
  const element = make('article');
  const about = make('p', 'about');
  about.append(make('time', '', clock(time)), ...isPattern(channel) ? [make('span', 'type', of)] : [], make('span', 'type', type), make('span', 'id', id ?? 'ephemeral'));
  if (from) about.append(Object.assign(make('span', 'from', from), { title: 'verified sender' }));
  for (const [name, value] of Object.entries(tags ?? {})) about.append(make('span', 'tag', `${name}:${value}`));
  const text = typeof data === 'string' ? data : JSON.stringify(data, null, 1).replace(/\n\s*/g, ' ');
  element.append(about, make('p', 'text', text));
  return element;
}

/** Shows the users of the channel, again and again, unless it has no presence. */
async function look() {
  const asked = channel;
  try {
    const { count, users } = await ask(`${path(asked)}/presence?limit=${USERS}`);
    if (asked !== channel) return;
    put($('present'), plural(count, 'user'));
    $('users').replaceChildren(...users.map(({ user, since }) => Object.assign(make('li', '', user), { title: since ? `since ${clock(since)}` : '' })));
    looking = setTimeout(look, LOOK);
  } catch (error) {
    if (asked !== channel) return;
    put($('present'), error.status ? 'without presence' : '\u00a0');
    if (!error.status || error.status >= 500) looking = setTimeout(look, LOOK);
  }
}

$('inspect').onsubmit = (e) => {
  e.preventDefault();
  location.hash = encodeURIComponent($('channel').value.trim());
};

$('publish').onsubmit = async (e) => {
  e.preventDefault();
  const type = $('type').value.trim();
  const query = type ? `?${new URLSearchParams({ type })}` : '';
  try {
    // Of this type the node takes JSON as JSON and the rest as text.
    const headers = { 'Content-Type': 'application/octet-stream' };
    const { id } = await ask(`${path(channel)}/messages${query}`, { method: 'POST', headers, body: $('data').value });
    put($('published'), `Published as ${id}`);
    $('data').value = '';
  } catch (error) {
    put($('published'), `Not published: ${error.message}`);
  }
};
