// Users who are typing: an ephemeral message now and then, which everyone forgets.
const EVERY = 2500; // ms between two of ours
const LASTS = 5000; // ms

export class Typing {
  #tell; #changed; #last = 0;
  #timers = new Map(); // name → timer

  /** tell() publishes, and is false if it cannot now; changed() is called when names may have. */
  constructor(tell, changed) {
    this.#tell = tell;
    this.#changed = changed;
  }

  get names() { return [...this.#timers.keys()]; }

  /** We are typing. */
  type() {
    if (Date.now() - this.#last >= EVERY && this.#tell()) this.#last = Date.now();
  }

  /** We have said it: the next key tells again. */
  said() { this.#last = 0; }

  heard(name) {
    if (this.#timers.size > 50) return;
    clearTimeout(this.#timers.get(name));
    this.#timers.set(name, setTimeout(() => this.stop(name), LASTS));
    this.#changed();
  }

  stop(name) {
    clearTimeout(this.#timers.get(name));
    if (this.#timers.delete(name)) this.#changed();
  }
}
