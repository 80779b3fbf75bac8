// The messages of one conversation as they are on the page: older ones that were
// read back, live ones, and those of ours that have not come back yet.
import { authorOf, bubble, gapLine, notice, read } from './messages.js';
import { make } from './text.js';

const KEPT = 3000; // messages on the page; the oldest leave it, and can be read back

export class Log {
  element = make('div', 'log');
  complete = false; // nothing older is kept
  #session; #older; #live; #pending;
  #elements = new Map(); // ID → element, oldest first
  #waiting = new Map(); // key → element

  constructor(session, title) {
    this.#session = session;
    this.#older = make('div', 'older');
    this.#live = Object.assign(make('div', 'live'), { role: 'log', ariaLabel: `Messages in ${title}` });
    this.#pending = Object.assign(make('div', 'pending'), { role: 'group', ariaLabel: 'Being sent' });
    this.element.append(this.#older, this.#live, this.#pending);
  }

  get oldest() { return this.#elements.keys().next().value; }

  /** Adds a message that came; false if it is there. */
  add(message) {
    if (this.#elements.has(message.id)) return false;
    const said = read(message.data);
    this.settle(said.key);
    this.#live.append(this.#make(said, message));
    while (this.#elements.size > KEPT) this.#dropOldest();
    return true;
  }

  /** Adds older messages, newest first, as history gives them. */
  addOlder(messages, more) {
    const elements = [], before = this.#elements;
    this.#elements = new Map();
    for (const message of messages.toReversed()) {
      if (!before.has(message.id)) elements.push(this.#make(read(message.data), message));
    }
    for (const [id, element] of before) this.#elements.set(id, element);
    this.#older.prepend(...elements);
    this.complete = !more;
  }

  gap(reason) { this.#live.append(gapLine(reason)); }

  /** Shows a message of ours until it comes back, or has been settled. */
  addPending(said) {
    const { me, signed, node } = this.#session;
    const element = bubble(said, { time: Date.now() }, { author: { name: me, verified: signed }, own: true, node });
    this.#waiting.set(said.key, element);
    this.#pending.append(element);
    return element;
  }

  /** It has come back, or is given up. */
  settle(key) {
    this.#waiting.get(key)?.remove();
    this.#waiting.delete(key);
  }

  elementOf(id) { return this.#elements.get(id); }

  get size() { return this.#elements.size; }

  #make(said, message) {
    const { node } = this.#session, author = authorOf(message);
    const element = message.type === 'motd' ? notice(said, message) : bubble(said, message, { author, own: isOwn(this.#session, author), node });
    this.#elements.set(message.id, element);
    return element;
  }

  #dropOldest() {
    const id = this.oldest;
    this.#elements.get(id).remove();
    this.#elements.delete(id);
    this.complete = false;
  }
}

/** Whether an author is who looks. Without tokens no author is verified, and a name must do. */
export const isOwn = ({ me, signed }, { name, verified }) => name === me && verified === signed;

/** Says below a message of ours how it is; what names buttons. */
export function note(element, text, buttons = {}) {
  const state = make('p', 'state', text);
  for (const [label, onclick] of Object.entries(buttons)) {
    state.append(Object.assign(make('button', 'quiet', label), { type: 'button', onclick }));
  }
  element.classList.toggle('failed', Object.keys(buttons).length > 0);
  element.querySelector('.state')?.remove();
  element.querySelector('.bubble').append(state);
}
