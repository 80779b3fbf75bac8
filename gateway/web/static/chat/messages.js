// How messages look. All that people write stays text; links are elements made
// of an address that the browser itself understood as http or https.
import { $, avatar, colour, make } from './text.js';

/** The text of a message, of any publisher and in any form. */
export function read(data) {
  if (typeof data === 'string') return { text: data };
  const said = Object.fromEntries(Object.entries(data ?? {}).filter(([, value]) => typeof value === 'string'));
  return said.text === undefined ? { text: JSON.stringify(data, null, 2), json: true } : said;
}

/**
 * Who sent a message. Only `from` is proof: the server has verified it. A name in the data is what the publisher wanted to be called. */
export const authorOf = ({ from, data }) => from ? { name: from, verified: true } : { name: read(data).name ?? '', verified: false };

/** A message of an author; own if that is who looks. node is theirs. */
export function bubble(said, { id = '', time }, { author, own, node }) {
  const element = $('message').content.firstElementChild.cloneNode(true);
  const part = (selector) => element.querySelector(selector);
  Object.assign(element.dataset, { id, name: author.name, verified: author.verified });
  element.classList.toggle('own', own);
  avatar(part('.avatar'), author.verified ? author.name : '');
  part('.name').textContent = author.name;
  part('.verified').hidden = !author.verified;
  part('.unverified').hidden = author.verified;
  if (said.node) part('.route').append(...route(said.node, node));
  part('.text').append(...(said.json ? [said.text] : linked(said.text)));
  part('.text').classList.toggle('json', !!said.json);
  stamp(part('time'), new Date(time));
  return element;
}

/** A notice to all, from the shell or an operator. */
export function notice(said, { id, time }) {
  const element = make('article', 'message notice');
  const text = Object.assign(make('p', 'text'), { dir: 'auto' });
  text.append(...linked(said.text));
  element.dataset.id = id;
  element.append(text, stamp(make('time'), new Date(time)));
  return element;
}

export const gapLine = (reason) => make('p', 'gap', `some messages may be missing here (${reason})`);

/** The node that a message was sent through and, if ours is another, how it came here. */
function route(from, node) {
  return from === node || !node ? [badge(from)] : [badge(from), make('span', 'arrow', '→'), badge(node)];
}

export const badge = (node) => colour(Object.assign(make('span', 'node', node), { title: `node ${node}` }), node);

function stamp(element, date) {
  const day = date.toDateString() === new Date().toDateString() ? {} : { month: 'short', day: 'numeric' };
  const text = date.toLocaleString([], { ...day, hour: '2-digit', minute: '2-digit' });
  return Object.assign(element, { dateTime: date.toISOString(), title: date.toLocaleString(), textContent: text });
}

/** Text and links. A link does not include the punctuation after it. */
export function linked(text) {
  return text.split(/(\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]])/i).map((part, i) => i % 2 ? link(part) : part);
}

function link(address) {
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) return address;
  return Object.assign(make('a', '', address), { href: address, target: '_blank', rel: 'noopener noreferrer nofollow' });
}

/** Shows the readers of a message: their initials, at most 4. */
export function showSeen(element, names) {
  const place = element.querySelector('.seen');
  if (!place) return;
  place.replaceChildren(...names.slice(0, 4).map((name) => avatar(make('span', 'avatar'), name)));
  if (names.length > 4) place.append(`+${names.length - 4}`);
  if (names.length) Object.assign(place, { role: 'img', ariaLabel: `Seen by ${names.join(', ')}`, title: `Seen by ${names.join(', ')}` });
  else for (const name of ['role', 'aria-label', 'title']) place.removeAttribute(name);
}
