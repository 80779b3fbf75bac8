// The JavaScript client of Comet, for browsers and Node: what a program calls.
// comet.d.ts has the interface, docs/clients.md how it works.
//
// The other modules, from here down:
//   subscription.js  what a subscriber listens to     place.js   where it is in one channel
//   tabs.js          who connects for all tabs        lines.js   which connections there are
//   line.js          a connection, for as long as it is wanted
//   stream.js, poll.js  the two ways to ask           events.js, items.js  what they bring
//   outbox.js        publishing                       server.js, token.js  requests
//   time.js          how long to wait                 error.js   what was refused

import { Outbox } from './outbox.js';
import { Server, pathOf } from './server.js';
import { Subscription } from './subscription.js';
import { Tabs } from './tabs.js';

export { CometError } from './error.js';

export class Comet {
  #server; #outbox; #tabs;

  constructor(url = '/', options) {
    this.#server = new Server(url, options);
    this.#outbox = new Outbox(this.#server);
  }

  subscribe(channels, options = {}) {
    // A subscription creates the tabs when it begins: a client that only publishes has none.
    return new Subscription(() => this.#tabs ??= new Tabs(this.#server, () => this.close()), [channels].flat(), options);
  }

  publish(channel, data, options) { return this.#outbox.publish(channel, data, options); }

  history(channel, options) { return this.#list(channel, 'messages', options); }

  presence(channel, options) { return this.#list(channel, 'presence', options); }

  close() {
    this.#tabs?.close();
    this.#tabs = undefined;
  }

  #list(channel, what, options) { return this.#server.json(`${pathOf(channel)}${what}?${new URLSearchParams(options)}`); }
}
