// One set of connections for all tabs of a user: the tab that holds a lock has
// them, and relays what they bring over a bus. When it goes, in whatever way,
// the browser gives the lock to another. Where there are no locks a tab leads
// itself only.

import { Lines } from './lines.js';
import { randomKey } from './outbox.js';
import { userOf } from './token.js';

const GATHER = 20; // ms, in which all tabs tell a new leader what they want

/** This tab among the others: its subscriptions, and the lines if it leads. */
export class Tabs {
  #lines; #over; #bus; #leader; #leads;
  #tab = randomKey();
  #subscriptions = new Set();
  #control = new AbortController(); // aborted by close

  /** `over` is called when the server refuses this tab's token, and so all that it might ask for. */
  constructor(server, over) {
    this.server = server;
    this.#over = over;
    this.#lines = new Lines(server, this);
    this.#open();
  }

  async #open() {
    const name = await this.#name(), { signal } = this.#control, { locks } = globalThis.navigator ?? {};
    if (signal.aborted) return;
    if (!name) return this.#lead();
    const over = new Promise((resolve) => signal.addEventListener('abort', resolve));
    this.#bus = new BroadcastChannel(name);
    this.#bus.onmessage = ({ data }) => this.#hear(data);
    await new Promise((held) => locks.request(this.#tab, () => { held(); return over; })); // another tab that gets it knows that we are gone
    locks.request(name, { signal }, () => { this.#lead(); return over; }).catch(() => {}); // closed
    this.want();
  }

  /** The name that tabs have in common if they share, else undefined. */
  async #name() {
    const { server: { url, token, options: { share, credentials, skipSelf } } } = this, { location, navigator } = globalThis;
    // A page cannot read the user of a cookie. Without a token this tab asks alone, and its line says what is wrong.
    const user = share === true ? credentials === 'omit' && await token.get().then(userOf, () => false) : share;
    if (user !== false && location && navigator.locks) return `comet ${url} ${user} ${skipSelf}`;
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
    this.#lines.close();
    this.#control.abort();
    this.#bus?.close();
  }

  /** Says what this tab wants. */
  async want() {
    await 0; // for others that enter too
    if (this.#control.signal.aborted) return;
    const want = new Map();
    for (const s of this.#subscriptions) s.wants(want);
    this.#post({ want });
  }

  take(items) { this.#post({ items }); }

  /** A refused channel is refused for all; a refused token may be ours alone: the next tab tries its own. */
  refused(error, channels) {
    if (error.channels) return this.take(channels.map((channel) => [channel, 'error', { ...error }]));
    for (const s of this.#subscriptions) s.fail(error);
    this.#over();
  }

  /** Sends to all tabs, this one too. */
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

  /** As the leader. The lock of another tab is free when it is gone, and wants nothing any more. */
  #wanted(tab, want) {
    if (!this.#lines.knows(tab) && tab !== this.#tab) {
      navigator.locks.request(tab, { signal: this.#control.signal }, () => this.#wanted(tab, new Map())).catch(() => {}); // closed
    }
    this.#lines.want(tab, want, this.#bus && GATHER);
  }
}
