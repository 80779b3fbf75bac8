// Which connections there are: as few as bring all channels that tabs want.

import { Line } from './line.js';

const CHANNELS = 64; // of one connection

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

  /** What a tab wants from now on. It is arranged for after `delay` ms, for others that say so now too. */
  want(tab, channels, delay) {
    this.#wants.set(tab, channels);
    if (globalThis.document?.hidden) this.#arrange(); // where timers may sleep for a second
    else this.#soon ??= setTimeout(() => this.#arrange(), delay);
  }

  close() {
    clearTimeout(this.#soon);
    for (const line of this.#lines) line.close();
  }

  /** Has the lines bring what is wanted, and tells where those are that do. */
  #arrange() {
    this.#soon = undefined;
    const missing = new Map([...this.#wants.values()].flatMap((want) => [...want]));
    for (const line of this.#lines) {
      for (const [channel, cursor] of line.at) {
        if (!missing.delete(channel)) line.drop(channel);
        else if (line.ready) this.#owner.take([[channel, 'ready', line.ready, cursor]]);
      }
      if (!line.at.size) this.#lines.delete(line);
    }
    const starts = [...missing];
    for (const line of this.#lines) line.add(starts.splice(0, CHANNELS - line.at.size));
    while (starts.length) {
      const line = new Line(this.#server, this.#owner);
      this.#lines.add(line);
      line.add(starts.splice(0, CHANNELS));
    }
  }
}
