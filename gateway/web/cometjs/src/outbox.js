// Publishing: each message once and in order, with retries.

import { CometError, isFinal } from './error.js';
import { isDots, pathOf } from './server.js';
import { backoff, offline, pause } from './time.js';

const LIMIT = 1000; // messages that wait

export const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join('-');

export class Outbox {
  #server;
  #last = new Map(); // channel → its newest message, a promise
  #waiting = 0;

  constructor(server) { this.#server = server; }

  /** Sends a message after those that were given before for its channel; what became of them does not matter. */
  async publish(channel, data, { type = 'message', ephemeral = false, key, tags } = {}) {
    let body = JSON.stringify(data), path = '/v1/publish';
    if (!body) throw new TypeError('data has no JSON');
    if (this.#waiting >= LIMIT) throw new Error(`${LIMIT} messages wait to be published`);
    const headers = { 'Content-Type': 'application/json', ...!ephemeral && { 'Idempotency-Key': key ?? randomKey() } };
    if (tags || isDots(channel)) body = JSON.stringify([{ channel, data, type, ephemeral, tags, key: headers['Idempotency-Key'] }]); // a batch of one
    else path = `${pathOf(channel)}messages?${new URLSearchParams({ type, ephemeral })}`;
    const send = () => this.#send(path, { method: 'POST', headers, body }, ephemeral);
    const sent = Promise.resolve(this.#last.get(channel)).then(send, send);
    this.#last.set(channel, sent);
    this.#waiting++;
    try {
      const receipt = await sent;
      return { ...receipt, duplicate: !!key && receipt.duplicate }; // with a key of our own it repeats only our own first try
    } finally {
      this.#waiting--;
      if (this.#last.get(channel) === sent) this.#last.delete(channel);
    }
  }

  /** Retries for 4 minutes, as the server keeps a key for 5; a message without a key is sent once. */
  async #send(path, init, once) {
    for (let failures = 0, began; ;) {
      while (offline() && !once) await pause(60_000);
      began ??= Date.now();
      try {
        const answer = await this.#server.json(path, { ...init, signal: AbortSignal.timeout(15_000) });
        const [receipt] = answer.results ?? [answer];
        if (receipt.error) throw new CometError(receipt.error);
        return receipt;
      } catch (error) {
        if (once || isFinal(error) || Date.now() - began > 240_000) throw error;
        await pause(backoff(failures++, error.wait));
      }
    }
  }
}
