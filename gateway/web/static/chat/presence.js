// The users in a channel, on all nodes: read, and updated by joins and leaves.
const MOST = 200; // shown; the rest is counted

export class Presence {
  users = new Set();
  count = 0;
  #read; #changed; #since = null;

  /** read(options) is comet.presence of the channel; changed() is called when somebody came or went. */
  constructor(read, changed) {
    this.#read = read;
    this.#changed = changed;
  }

  /** Reads the list of users. Joins and leaves that come meanwhile count: they may be newer. */
  async refresh() {
    const since = this.#since = [];
    try {
      const { users, count } = await this.#read({ limit: MOST });
      if (since !== this.#since) return; // somebody else looked later
      this.users = new Set(users.map(({ user }) => user));
      this.count = count;
      for (const [user, there] of since) this.#apply(user, there);
      this.#changed();
    } catch { /* another look will follow */ }
    if (since === this.#since) this.#since = null;
  }

  told(user, there) {
    this.#since?.push([user, there]);
    this.#apply(user, there);
    this.#changed();
  }

  #apply(user, there) {
    if (this.users.has(user) === there) return;
    if (there) this.users.add(user);
    else this.users.delete(user);
    this.count += there ? 1 : -1;
  }
}
