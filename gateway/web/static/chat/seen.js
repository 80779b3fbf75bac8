// How far others have read. Ephemeral messages carry it, so that histories
// stay clean; a user who comes asks for it once, and those who are there answer.
import { showSeen } from './messages.js';
import { compareIDs } from './text.js';

const SOON = 400; // ms, in which several messages are seen at once
const MOST = 20; // people: in larger rooms it would be everyone to everyone

export class Seen {
  #tell; #crowd; #log;
  #mine = '0-0'; #told = '0-0'; #timer; #drawing = false;
  #others = new Map(); // name → ID
  #shown = new Set(); // elements

  /** tell({ id, ask }) publishes; crowd() is how many are there. */
  constructor(log, tell, crowd) {
    this.#log = log;
    this.#tell = tell;
    this.#crowd = crowd;
  }

  /** We have seen everything up to id. */
  mark(id) {
    if (compareIDs(id, this.#mine) <= 0) return;
    this.#mine = id;
    this.#soon(SOON);
  }

  /** Asks the others, telling our own. */
  ask() { this.#say({ id: this.#mine, ask: true }); }

  heard(name, { id, ask }) {
    if (typeof id === 'string' && /^\d+-\d+$/.test(id) && (this.#others.has(name) || this.#others.size < 100)) {
      this.#others.set(name, id);
      this.draw();
    }
    if (ask === true) {
      this.#told = '0-0';
      this.#soon(SOON + Math.random() * 600); // not all at once
    }
  }

  #soon(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (compareIDs(this.#mine, this.#told) > 0) this.#say({ id: this.#told = this.#mine });
    }, ms);
  }

  #say(data) { if (this.#crowd() <= MOST) this.#tell(data); }

  /** Shows it, once for all that happens together. */
  draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    queueMicrotask(() => {
      this.#drawing = false;
      const by = new Map();
      for (const [name, id] of this.#others) {
        const element = this.#log.elementOf(id);
        if (element && element.dataset.name !== name) by.set(element, [...by.get(element) ?? [], name]);
      }
      for (const element of this.#shown) if (!by.has(element)) showSeen(element, []);
      for (const [element, names] of by) showSeen(element, names);
      this.#shown = new Set(by.keys());
    });
  }
}
