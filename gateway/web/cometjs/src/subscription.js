// A subscription: what a program listens to, as events or in a loop.

import { CometError } from './error.js';
import { Lines } from './lines.js';
import { Place } from './place.js';

const LIMIT = 1000; // items that wait for a loop

export class Subscription extends EventTarget {
  state = 'connecting';
  #tabsOf; #tabs; #error; #watched; #retried;
  #places = new Map(); // by channel
  #own; // the lines that bring forward what has not joined those of all tabs
  #queue; // what waits for the loop, if there is one
  #more; // wakes the loop
  #full; // the queue was: the loop is to catch up when it is empty

  /** It asks tabsOf for the tabs when somebody listens. */
  constructor(tabsOf, channels, { cursor = '', last }) {
    super();
    this.#tabsOf = tabsOf;
    const cursors = new Map(Object.entries(cursor)); // a channel may have the name of something that all objects have
    for (const channel of channels) {
      this.#places.set(channel, new Place(channel, typeof cursor === 'string' ? cursor : cursors.get(channel), last));
    }
  }

  get cursor() { return Object.fromEntries([...this.#places].map(([channel, { seen }]) => [channel, seen || ''])); }

  on(name, fn) {
    const listener = ({ detail }) => fn(detail);
    this.addEventListener(name, listener);
    this.#watched ||= name === 'error';
    this.#begin();
    return () => this.removeEventListener(name, listener);
  }

  async *[Symbol.asyncIterator]() {
    this.#queue ??= [];
    this.#begin();
    try {
      for (;;) {
        for (let item; item = this.#queue.shift();) {
          this.#fire(...item);
          if (item[1] === 'message') yield item[2];
        }
        if (this.#error) throw this.#error;
        if (this.state === 'closed') return;
        if (this.#full) this.#catchUp(this.#full = false);
        await new Promise((resolve) => { this.#more = resolve; });
      }
    } finally { this.close(); }
  }

  close() {
    this.#own?.close();
    this.#tabs?.leave(this);
    this.#turn('closed');
    this.#more?.();
  }

  /** Ends it with an error, which is logged if there is no listener. */
  fail(error) {
    this.#error = error;
    this.close();
    if (!this.#watched && !this.#queue) console.error(error);
    this.#emit('error', error);
  }

  /** Says that a connection failed and when the next is tried, once for all its channels. */
  #retry(data) {
    if (data === this.#retried) return;
    this.#retried = data;
    const error = new CometError(data.error);
    if (data.failures === 2) console.warn('comet: retry:', error);
    this.#emit('retry', { ...data, error });
  }

  /** Adds its channels, and where they would begin. */
  wants(want) { for (const { channel, at } of this.#places.values()) want.set(channel, want.get(channel) || at); }

  /** Takes what the lines of all tabs bring, of any channel. */
  take(items) {
    let met;
    for (const item of items) {
      const [channel, name, data] = item, place = this.#places.get(channel);
      if (!place || this.state === 'closed') continue;
      if (name === 'error') this.fail(new CometError(data));
      else if (name === 'ready') met = this.#meet(place, item);
      else if (name === 'lost') {
        place.met = false;
        this.#turn('connecting');
        this.#retry(data);
      } else if (name === 'bye') this.#turn('connecting') && this.#emit(name, data);
      else if (place.joined) this.#deliver(place, item);
      else {
        place.keep(item);
        this.#join(place);
      }
    }
    if (met) {
      this.#catchUp();
      this.#open(met);
    }
  }

  #begin() {
    if (this.#tabs || this.state === 'closed') return;
    this.#tabs = this.#tabsOf();
    this.#tabs.enter(this);
  }

  #emit(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  /** Whether the state is another one now. */
  #turn(state) {
    if (this.state === state || this.state === 'closed') return false;
    this.#emit('state', this.state = state);
    return true;
  }

  #meet(place, [, , data, cursor, start]) {
    place.meet(cursor, start);
    this.#join(place);
    return data;
  }

  #open(data) {
    if ([...this.#places.values()].every(({ ready }) => ready) && this.#turn('open')) this.#emit('ready', data);
  }

  #join(place) {
    const since = place.join();
    if (!place.joined) return;
    this.#own?.drop(place.channel);
    this.take(since);
  }

  /** Lines of its own bring forward what is behind. */
  #catchUp() {
    const behind = [...this.#places.values()].filter((place) => place.behind);
    if (this.#full || behind.every(({ channel }) => this.#own?.has(channel))) return;
    this.#own?.close();
    let ready;
    this.#own = new Lines(this.#tabs.server, {
      refused: (error) => this.fail(error),
      take: (items) => {
        for (const item of items) {
          const [channel, name, data, cursor] = item, place = this.#places.get(channel);
          if (name === 'lost') this.#retry(data);
          if (place.joined || this.#full || /lost|bye/.test(name)) continue;
          if (name === 'ready') {
            ready = data;
            place.begin(cursor);
          } else this.#deliver(place, item);
          this.#join(place);
        }
        this.#open(ready);
      },
    });
    this.#own.add(behind.map(({ channel, at }) => [channel, at]));
  }

  /** If the loop is too far behind, it lets go of the lines, and catches up later. */
  #deliver(place, [, name, data, cursor]) {
    if (cursor) place.at = cursor;
    if (!this.#queue) return this.#fire(place, name, data, cursor);
    this.#queue.push([place, name, data, cursor]);
    this.#more?.();
    if (this.#queue.length < LIMIT) return;
    this.#full = true;
    this.#own?.close();
    for (const p of this.#places.values()) p.leave();
  }

  /** Hands an item over, and moves the cursor after it. */
  #fire(place, name, data, cursor) {
    if (cursor) place.seen = cursor;
    if (name !== 'at') this.#emit(name, data);
  }
}
