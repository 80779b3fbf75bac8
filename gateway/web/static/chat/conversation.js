// A conversation: a room, or with one other person. It follows its channel from
// when it is made, whether it is looked at or not, so that it can count what is
// unread; view.js shows one of them.
//
// On the channel are messages {name, text, node, key}, the type `motd`, and the
// ephemeral types `typing` {name} and `seen` {name, id, ask}. The names count only
// where there are no tokens: else the server says who sent a message.
import { Log, isOwn, note } from './log.js';
import { authorOf, read } from './messages.js';
import { Presence } from './presence.js';
import { Seen } from './seen.js';
import { compareIDs, randomKey, recall, remember } from './text.js';
import { Typing } from './typing.js';

const PAGE = 50; // messages read at once
const NAME = 40; // characters of one that is believed

/** Fires `change` when something about it is to be shown again, `added` when its log has grown, and `state`. */
export class Conversation extends EventTarget {
  unread = 0;
  motd = null; // { id, text }
  problem = ''; // why it is over
  #session; #subscription; #mark; #newest = '0-0'; #loading = null;

  /** partner: the other one of a direct conversation. */
  constructor(session, { channel, title, partner = '' }) {
    super();
    Object.assign(this, { channel, title, partner });
    this.#session = session;
    const { comet, me } = session;
    // Messages from before the first visit are not unread, except direct ones.
    this.#mark = recall('localStorage', `read.${me}.${channel}`) || (partner ? '0-0' : `${Date.now()}-0`);
    this.log = new Log(session, title);
    this.presence = new Presence((options) => comet.presence(channel, options), () => this.#fire('change'));
    this.typing = new Typing(() => this.#signal('typing', {}), () => this.#fire('change'));
    this.seen = new Seen(this.log, (data) => this.#signal('seen', data), () => this.presence.count);
    this.#subscription = this.#subscribe();
    for (const { data, at, stale } of session.outbox.left(channel)) this.#deliver(data, at, stale);
  }

  get state() { return this.#subscription.state; }

  close() { this.#subscription.close(); }

  /** Says it: shown at once, and marked until it came back through the channel. */
  say(text) {
    const { me, node = '' } = this.#session;
    this.typing.said();
    if (this.partner && !this.presence.users.has(this.partner)) this.#invite();
    this.#deliver({ name: me, text, node, key: randomKey() }, Date.now());
  }

  /** Somebody looks at the newest message. */
  read() {
    if (this.unread) {
      this.unread = 0;
      this.#fire('change');
    }
    this.seen.mark(this.#newest);
    if (compareIDs(this.#newest, this.#mark) <= 0) return;
    this.#mark = this.#newest;
    remember('localStorage', `read.${this.#session.me}.${this.channel}`, this.#mark);
  }

  /** Reads a page of older messages; nothing happens if it cannot. */
  older() {
    if (this.log.complete || !this.log.oldest) return undefined;
    return this.#loading ??= this.#session.comet.history(this.channel, { before: this.log.oldest, limit: PAGE, order: 'desc' })
      .then(({ messages, more }) => this.log.addOlder(messages, more), () => {})
      .finally(() => { this.#loading = null; });
  }

  /** Looks again who is there, where that is known. */
  look() { return this.#session.signed ? this.presence.refresh() : undefined; }

  #subscribe() {
    const subscription = this.#session.comet.subscribe(this.channel, { last: PAGE });
    subscription.on('message', (m) => m.ephemeral ? this.#heard(m) : this.#receive(m));
    subscription.on('ready', ({ node }) => {
      this.#session.at(node);
      this.look();
      this.seen.ask();
      this.#fire('change');
    });
    subscription.on('gap', ({ reason }) => {
      this.log.gap(reason);
      this.look();
      this.#fire('added');
    });
    subscription.on('join', ({ data }) => this.presence.told(data.user, true));
    subscription.on('leave', ({ data }) => this.presence.told(data.user, false));
    subscription.on('error', ({ message }) => {
      this.problem = message;
      this.#fire('state');
    });
    subscription.on('state', () => this.#fire('state'));
    return subscription;
  }

  #receive(message) {
    if (!this.log.add(message)) return;
    const { key, text } = read(message.data), author = authorOf(message);
    const own = isOwn(this.#session, author);
    if (key && own) this.#session.outbox.drop(key);
    if (message.type === 'motd') this.motd = { id: message.id, text };
    else if (!own && compareIDs(message.id, this.#mark) > 0) this.unread++;
    if (this.#believes(author)) this.typing.stop(author.name);
    this.#newest = message.id;
    this.seen.draw();
    this.#fire('added');
    this.#fire('change');
  }

  /** Whether a name may be shown as somebody's who does something here. */
  #believes({ name, verified }) { return name && (verified || !this.#session.signed); }

  #heard(message) {
    const { type, data } = message, author = authorOf(message), { name } = author;
    if (!this.#believes(author) || name.length > NAME || isOwn(this.#session, author)) return;
    if (type === 'typing') this.typing.heard(name);
    if (type === 'seen') this.seen.heard(name, data);
  }

  /** Publishes an ephemeral message. Late it would be wrong, so only while connected; else it returns false. */
  #signal(type, data) {
    if (this.state !== 'open') return false;
    this.#session.comet.publish(this.channel, { name: this.#session.me, ...data }, { type, ephemeral: true }).catch(() => {});
    return true;
  }

  /** Lets the other one know of this conversation. */
  #invite() {
    const { comet } = this.#session;
    comet.publish(`inbox/${this.partner}`, {}, { type: 'dm' }).catch(() => {}); // its messages will be here
  }

  async #deliver(data, at, stale = false) {
    const element = this.log.addPending(data);
    const again = () => {
      this.log.settle(data.key);
      this.#deliver(data, Date.now());
    };
    const discard = () => {
      this.#session.outbox.drop(data.key);
      this.log.settle(data.key);
    };
    note(element, 'sending…');
    this.#fire('said');
    try {
      if (stale) throw new Error('it has waited for too long');
      await this.#session.outbox.send(this.channel, data, at);
      note(element, 'sent');
    } catch (error) {
      note(element, `not sent: ${error.message}`, { Retry: again, Discard: discard });
    }
    this.#fire('change');
  }

  #fire(name) { this.dispatchEvent(new Event(name)); }
}
