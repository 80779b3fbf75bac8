// Which connections there are: as few as bring all channels that tabs want.

import { isPattern } from './items.js';
import { Line } from './line.js';

export class Lines {
  #server; #owner; #soon;
  #wants = new Map(); // tab → its channels and where they begin
  #lines = new Set();

  /** The owner is that of each line. */
  constructor(server, owner) {
    this.#server = server;
    this.#owner = owner;
  }

  knows(tab) { return this.#wants.has(tab); }

  /** Sets what a tab wants. It takes effect after `delay` ms, together with the wishes of other tabs. */
  want(tab, channels, delay) {
    this.#wants.set(tab, channels);
    if (globalThis.document?.hidden) this.#arrange(); // where timers may sleep for a second
    else this.#soon ??= setTimeout(() => this.#arrange(), delay);
  }

  has(channel) { return [...this.#lines].some(({ at }) => at.has(channel)); }

  /** Has lines that have room, or new ones, bring these too: [channel, where it begins]. */
  add(starts) {
    starts.sort(([a], [b]) => isPattern(a) - isPattern(b)); // or one would be in the way of what lines have room for
    for (const line of this.#lines) line.add(starts);
    while (starts.length) {
      const line = new Line(this.#server, this.#owner, this);
      this.#lines.add(line);
      line.add(starts);
    }
  }

  drop(channel) { for (const line of this.#lines) if (line.at.has(channel)) line.drop(channel); }

  close() {
    clearTimeout(this.#soon);
    for (const line of this.#lines) line.close();
  }

  /** Has the lines bring what is wanted, and tells where those are that do. */
  #arrange() {
    this.#soon = undefined;
    const missing = new Map([...this.#wants.values()].flatMap((want) => [...want])), items = [];
    for (const line of this.#lines) {
      for (const [channel, cursor] of line.at) {
        if (!missing.delete(channel)) line.drop(channel);
        else if (line.ready) items.push([channel, 'ready', line.ready, cursor]);
      }
      if (!line.at.size) this.#lines.delete(line);
    }
    this.#owner.take(items);
    this.add([...missing]);
  }
}
