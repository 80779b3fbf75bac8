// Messages that have not been published yet. They outlive a reload: each waits in
// localStorage, under its idempotency key, so that whichever tab sends it again
// publishes it once.
import { forget, recall, remember } from './text.js';

const KNOWN = 240_000; // ms for which the server surely knows a key (5 minutes)

export class Outbox {
  #comet; #prefix;

  constructor({ comet, me }) {
    this.#comet = comet;
    this.#prefix = `outbox.${me}.`;
  }

  /**
   * Publishes, and keeps it until that is done. Rejects if it cannot be published
   * now; it waits then for another try, or drop. */
  async send(channel, data, at = Date.now()) {
    remember('localStorage', this.#prefix + data.key, JSON.stringify({ channel, data, at }));
    await this.#comet.publish(channel, data, { key: data.key });
    this.drop(data.key);
  }

  drop(key) { forget('localStorage', this.#prefix + key); }

  /** Messages that an earlier page left in channel, oldest first; stale: it may have been published long ago. */
  left(channel) {
    const found = [];
    for (const name of this.#names()) {
      try {
        const entry = JSON.parse(recall('localStorage', name));
        if (entry.channel === channel) found.push({ ...entry, stale: Date.now() - entry.at > KNOWN });
      } catch { /* not ours */ }
    }
    return found.sort((a, b) => a.at - b.at);
  }

  get size() { return this.#names().length; }

  #names() {
    try {
      return Object.keys(localStorage).filter((name) => name.startsWith(`comet.${this.#prefix}`)).map((name) => name.slice('comet.'.length));
    } catch { return []; }
  }
}
