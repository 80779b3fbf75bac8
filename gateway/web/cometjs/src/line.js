// A connection: opened, watched, and opened again for as long as it has channels.

import { isFinal, isTooLong, retryOf } from './error.js';
import { isPattern, sizeOf, toAll } from './items.js';
import { poll } from './poll.js';
import { stream } from './stream.js';
import { backoff, offline, PATIENCE, pause, sleepers, wake } from './time.js';

const CHANNELS = 64; // the most of one connection
const AGAIN = 'again', LATE = 'late'; // why a connection is cut: for other channels; for silence
const POLLS = 600_000; // ms, after which a stream is tried again

/** Brings its owner the items of channels, by take(items); refused(error, channels) is about channels that it leaves out. */
export class Line {
  at = new Map(); // channel → its cursor, or where it begins
  ready; // what the server said when this connection was made; undefined: there is none
  #server; #owner; #lines; #running; #heard;
  #timer; // until the connection is too silent
  #leaving; // until the server hears of channels that were dropped
  #control = new AbortController();
  #pollsUntil = 0;

  /** It is one of lines, which take what it has no room for. */
  constructor(server, owner, lines) {
    this.#server = server;
    this.#owner = owner;
    this.#lines = lines;
    if (server.options.transport === 'poll') this.#pollsUntil = Infinity;
  }

  /** Takes from starts what it has room for, and brings that too: [channel, where it begins]. */
  add(starts) {
    const { at } = this, { size } = at, { room } = this.#server;
    let bytes = this.#bytes();
    const takes = (channel) => !at.size || !isPattern(channel + [...at.keys()]) && at.size < CHANNELS && bytes + sizeOf(channel) <= room;
    while (starts.length && takes(starts[0][0])) {
      bytes += sizeOf(starts[0][0]);
      at.set(...starts.shift());
    }
    if (at.size === size) return;
    this.#reopen();
    this.#running ??= this.#run();
  }

  #bytes() {
    let bytes = 0;
    for (const channel of this.at.keys()) bytes += sizeOf(channel);
    return bytes;
  }

  /** Drops the channel; soon a new request tells the server, together with other dropped channels. */
  drop(channel) {
    this.at.delete(channel);
    if (this.at.size) this.#leaving ??= setTimeout(() => this.#reopen(), PATIENCE);
    else this.#reopen();
  }

  close() {
    this.at.clear();
    this.#reopen();
  }

  /** Closes the connection, and ends the wait for the next one. */
  #reopen() {
    this.#leaving = clearTimeout(this.#leaving);
    this.#control.abort(AGAIN);
    wake();
  }

  async #run() {
    const { heartbeat, transport } = this.#server.options;
    // A machine that slept finds out now, not when a timer that slept too is over.
    const check = () => (offline() || Date.now() - this.#heard > 1.2 * heartbeat) && this.#control.abort(LATE);
    sleepers.add(check);
    for (let failures = 0; this.at.size;) {
      const { signal } = this.#control = new AbortController(), polls = Date.now() < this.#pollsUntil;
      this.ready = undefined;
      const { asked, error } = await this.#connect(polls, signal);
      clearTimeout(this.#timer);
      if (signal.reason === AGAIN) continue;
      if (isTooLong(error) && this.at.size > 1) {
        this.#split();
      } else if (isFinal(error)) {
        this.#refuse(error);
      } else if (signal.reason === LATE && !this.ready && !polls && !offline() && transport === 'auto') {
        this.#pollsUntil = Date.now() + POLLS;
      } else {
        if (this.ready) failures = 0;
        this.ready = undefined;
        this.#control.abort(); // what is left of it
        const data = retryOf(error, backoff(failures, asked ?? error.wait), ++failures);
        this.#owner.take(toAll(this.at.keys(), 'lost', data));
        await pause(data.wait);
      }
    }
    sleepers.delete(check);
    this.#running = undefined;
  }

  /** One connection, to its end: in how many ms the server wants us back, if it said, and what went wrong. */
  async #connect(polls, signal) {
    let asked, error = {};
    try {
      for await (const items of (polls ? poll : stream)(this.#server, this.at, (ms) => this.#expect(ms), signal)) {
        asked = this.#bring(items, signal);
        if (polls && Date.now() > this.#pollsUntil) this.#reopen();
      }
    } catch (e) { error = e; }
    return { asked, error };
  }

  /** Cuts the connection unless it receives something in time. */
  #expect(ms) {
    this.#heard = Date.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#control.abort(LATE), ms);
  }

  /** Hands on what is still wanted, and does what comet.bye asks for. */
  #bring(items, signal) {
    signal.throwIfAborted(); // the channels are others now
    let asked;
    items = items.filter(([channel, name, data, cursor]) => {
      if (!this.at.has(channel)) return false;
      if (cursor) this.at.set(channel, cursor);
      if (name === 'ready') this.ready = data;
      asked ??= data.retry;
      return true;
    });
    this.#owner.take(items);
    return asked;
  }

  /** After this, all lines have half of this one's URL. */
  #split() {
    this.#server.room = this.#bytes() / 2;
    const all = [...this.at];
    this.at.clear();
    this.#lines.add(all);
  }

  #refuse(error) {
    const { channels = [...this.at.keys()] } = error;
    for (const channel of channels) this.at.delete(channel);
    this.#owner.refused(error, channels);
  }
}
