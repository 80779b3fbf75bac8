// Which conversations there are, and the one that is looked at: that is in the
// address, `#lobby` for a room and `#@bob` for a direct one.
import { Conversation } from './conversation.js';
import { recall, remember } from './text.js';

const DEFAULTS = ['lobby', 'random', 'help'];
const MOST = 50; // conversations

/** Why a room cannot be called so, or ''. With `chat/` before it, it must be a channel. */
function roomProblem(name) {
  if (!name) return 'Give a room.';
  if (/[{}\p{Cc}\p{Cs}]|^@/u.test(name)) return 'A room cannot begin with @, nor have { } or control characters.';
  return new TextEncoder().encode(name).length > 250 ? 'This is too long for a room.' : '';
}

/** The channel of two people; names have no ~. */
export const directChannel = (a, b) => `dm/${[a, b].sort().join('~')}`;

/** Fires `change` when a conversation came, went or has news, and `switch`. */
export class Rooms extends EventTarget {
  all = new Map(); // channel → Conversation
  active = null;
  #session;

  constructor(session) {
    super();
    this.#session = session;
    for (const room of new Set([...DEFAULTS, ...this.#remembered('rooms')])) this.#room(room);
    if (!session.signed) return;
    for (const name of this.#remembered('directs')) this.direct(name);
    session.comet.subscribe(`inbox/${session.me}`, { last: MOST }).on('message', ({ from }) => {
      if (from) this.direct(from);
    });
  }

  get rooms() { return [...this.all.values()].filter(({ partner }) => !partner); }
  get directs() { return [...this.all.values()].filter(({ partner }) => partner); }
  get unread() { return [...this.all.values()].reduce((sum, { unread }) => sum + unread, 0); }

  /** Why a room of this name cannot be opened from here, or ''. */
  problem(name) {
    const full = this.all.size >= MOST && !this.all.has(`chat/${name}`);
    return full ? `You are in ${MOST} conversations: leave one first.` : roomProblem(name);
  }

  /** Whether somebody is in one of our rooms, or speaks with us. */
  online(name) { return [...this.all.values()].some(({ presence }) => presence.users.has(name)); }

  /** Goes where the address says, or to the first room. */
  go() {
    const place = placeInAddress();
    const found = place.startsWith('@') && this.#session.signed ? this.direct(place.slice(1)) : this.#room(place);
    if (!found) return location.replace('#lobby');
    if (found === this.active) return undefined;
    this.active = found;
    this.#save();
    this.dispatchEvent(new Event('switch'));
    this.dispatchEvent(new Event('change'));
    return undefined;
  }

  /** The conversation with name, made if need be; undefined if there can be none. */
  direct(name) {
    const { me } = this.#session;
    if (name === me || !/^[^~*/{}\p{Cc}]{1,32}$/u.test(name)) return undefined;
    return this.#get(directChannel(me, name), name, name);
  }

  leave(conversation) {
    conversation.close();
    this.all.delete(conversation.channel);
    this.#save();
    if (conversation === this.active) location.hash = '#lobby';
    this.dispatchEvent(new Event('change'));
  }

  canLeave({ title, partner }) { return !partner && !DEFAULTS.includes(title.slice(1)); }

  /** Another way to the conversation `by` places on. */
  step(by) {
    const all = [...this.rooms, ...this.directs];
    location.hash = hashOf(all.at((all.indexOf(this.active) + by) % all.length));
  }

  #room(name) { return roomProblem(name) ? undefined : this.#get(`chat/${name}`, `#${name}`); }

  #get(channel, title, partner) {
    const known = this.all.get(channel);
    if (known || this.all.size >= MOST) return known;
    const made = new Conversation(this.#session, { channel, title, partner });
    this.all.set(channel, made);
    made.addEventListener('change', () => this.dispatchEvent(new Event('change')));
    this.#save();
    this.dispatchEvent(new Event('change'));
    return made;
  }

  #save() {
    const { me } = this.#session;
    remember('localStorage', `rooms.${me}`, JSON.stringify(this.rooms.map(({ title }) => title.slice(1))));
    remember('localStorage', `directs.${me}`, JSON.stringify(this.directs.map(({ partner }) => partner)));
  }

  #remembered(what) {
    try {
      return JSON.parse(recall('localStorage', `${what}.${this.#session.me}`)).filter((name) => typeof name === 'string').slice(0, MOST);
    } catch { return []; }
  }
}

export const hashOf = ({ title, partner }) => `#${partner ? '@' : ''}${encodeURIComponent(partner || title.slice(1))}`;

function placeInAddress() {
  try { return decodeURIComponent(location.hash.slice(1)).trim(); } catch { return ''; }
}
