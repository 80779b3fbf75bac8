// The list of conversations and of who is here, and on a phone the drawer that
// they are in.
import { hashOf } from './rooms.js';
import { $, avatar, make, put } from './text.js';
import { signOut } from './signin.js';

export class Sidebar {
  #rooms; #session; #drawing = false;

  constructor(rooms, session) {
    this.#rooms = rooms;
    this.#session = session;
    $('directs-section').hidden = $('people-section').hidden = !session.signed;
    put($('me'), session.me);
    avatar($('my-avatar'), session.me);
    $('sign-out').onclick = signOut;
    $('join-room').onsubmit = (e) => this.#join(e);
    $('new-room').oninput = () => $('new-room').setCustomValidity('');
    $('menu').onclick = () => this.#drawer(!document.body.classList.contains('drawer'));
    $('main').addEventListener('pointerdown', (e) => { if (!$('menu').contains(e.target)) this.#drawer(false); });
    addEventListener('keydown', (e) => { if (e.key === 'Escape') this.#drawer(false); });
    rooms.addEventListener('switch', () => this.#drawer(false));
    rooms.addEventListener('change', () => this.#soon());
    this.#draw();
  }

  #join(e) {
    e.preventDefault();
    const name = $('new-room').value.trim().replace(/^#/, '').normalize();
    $('new-room').setCustomValidity(this.#rooms.problem(name));
    if (!$('new-room').reportValidity()) return;
    $('new-room').value = '';
    location.hash = `#${encodeURIComponent(name)}`;
  }

  #drawer(open) {
    if (open === document.body.classList.contains('drawer')) return;
    document.body.classList.toggle('drawer', open);
    $('menu').setAttribute('aria-expanded', open);
    if (open) $('side').querySelector('[aria-current]')?.focus();
    else $('menu').focus();
  }

  /** Draws once for all that happens together. */
  #soon() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw() {
    const { active, rooms, directs, unread } = this.#rooms;
    fill($('rooms'), rooms.map((c) => ({ key: c.channel, conversation: c })), (item) => this.#fillConversation(item));
    fill($('directs'), directs.map((c) => ({ key: c.channel, conversation: c })), (item) => this.#fillConversation(item));
    const { users, count } = active?.presence ?? { users: [], count: 0 };
    fill($('people'), [...users].sort((a, b) => a.localeCompare(b)).map((name) => ({ key: name, name })), (item) => this.#fillPerson(item));
    put($('people-count'), count ? `· ${count}` : '');
    $('menu-unread').hidden = !unread;
    put($('menu-unread'), unread > 99 ? '99+' : String(unread));
  }

  #fillConversation({ element, conversation }) {
    const { title, partner, unread } = conversation;
    if (!element.firstChild) {
      const link = Object.assign(make('a'), { href: hashOf(conversation) });
      link.append(partner ? avatar(make('span', 'avatar'), partner) : make('span', 'hash', '#'), Object.assign(make('bdi', 'name', partner || title.slice(1))), make('span', 'unread'));
      element.append(link);
      if (this.#rooms.canLeave(conversation)) {
        element.append(Object.assign(make('button', 'leave quiet', '✕'), { type: 'button', ariaLabel: `Leave ${title}`, onclick: () => this.#rooms.leave(conversation) }));
      }
    }
    const link = element.firstChild, badge = element.querySelector('.unread');
    link.classList.toggle('online', !!partner && this.#rooms.online(partner));
    if (conversation === this.#rooms.active) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
    badge.hidden = !unread;
    put(badge, unread > 99 ? '99+' : String(unread));
    badge.ariaLabel = `${unread} unread`;
  }

  #fillPerson({ element, name }) {
    if (element.firstChild) return;
    const own = name === this.#session.me;
    const entry = Object.assign(make(own ? 'span' : 'a', 'online'), own ? {} : { href: `#@${encodeURIComponent(name)}`, title: `Write to ${name}` });
    entry.append(avatar(make('span', 'avatar'), name), make('bdi', 'name', name), make('span', 'faint', own ? 'you' : ''));
    element.append(entry);
  }
}

/** Makes a list show items: elements of those that stay are kept, and with them the focus. */
function fill(list, items, draw) {
  const known = new Map([...list.children].map((element) => [element.dataset.key, element]));
  items.forEach((item, i) => {
    const element = known.get(item.key) ?? Object.assign(make('li'));
    known.delete(item.key);
    element.dataset.key = item.key;
    draw({ ...item, element });
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
  });
  for (const element of known.values()) element.remove();
}
