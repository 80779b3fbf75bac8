// The state of the connection on the page: the line below the title, and a banner
// when it is away for longer than a moment.
import { badge } from './messages.js';
import { $, put } from './text.js';

const MOMENT = 1000; // ms

export class Connection {
  #rooms; #session; #timer; #listening = null; #node = '';

  constructor(rooms, session) {
    this.#rooms = rooms;
    this.#session = session;
    session.at = (node) => {
      session.node = node;
      this.#changed();
    };
    for (const event of ['online', 'offline']) addEventListener(event, () => this.#changed());
    rooms.addEventListener('switch', () => this.#follow());
  }

  #follow() {
    this.#listening?.abort();
    const { signal } = this.#listening = new AbortController();
    for (const event of ['state', 'change']) this.#rooms.active.addEventListener(event, () => this.#changed(), { signal });
    this.#changed();
  }

  #changed() {
    const { active } = this.#rooms;
    if (!active) return;
    const away = active.state !== 'open' || !this.#session.node || !navigator.onLine;
    if (!away) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      $('banner').hidden = true;
      this.#connected();
      return;
    }
    this.#node = '';
    $('status').dataset.state = 'away';
    put($('status'), active.problem ? 'not connected' : navigator.onLine ? 'connecting…' : 'offline');
    this.#timer ??= setTimeout(() => this.#banner(), active.problem ? 0 : MOMENT);
    if (!$('banner').hidden) this.#banner();
  }

  #connected() {
    const { node } = this.#session;
    if (this.#node === node && $('status').dataset.state === 'connected') return;
    this.#node = node;
    $('status').dataset.state = 'connected';
    $('status').replaceChildren('connected to ', badge(node));
  }

  #banner() {
    const { active } = this.#rooms, waiting = this.#session.outbox.size;
    const kept = waiting ? ` ${waiting === 1 ? 'One message waits' : `${waiting} messages wait`} and will be sent.` : ' What you write is kept and will be sent.';
    $('banner').hidden = false;
    if (active.problem) put($('banner'), `This conversation is over: ${active.problem}`);
    else put($('banner'), (navigator.onLine ? 'Reconnecting…' : 'You are offline.') + kept);
  }
}
