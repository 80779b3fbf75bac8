// The conversation that is looked at: it stays at its end unless somebody scrolls
// away, and reads older messages when they scroll up.
import { $, list, make, put, recall, remember } from './text.js';
import { linked } from './messages.js';

const NEAR = 40; // px from the end that count as there
const AHEAD = 400; // px from the beginning at which older messages are read

export class View {
  #rooms; #conversation = null; #atEnd = true; #listening = null;
  #top = make('p', 'top');

  constructor(rooms) {
    this.#rooms = rooms;
    rooms.addEventListener('switch', () => this.#show(rooms.active));
    rooms.addEventListener('change', () => this.#entitle());
    $('scroller').onscroll = () => this.#scrolled();
    $('newer').onclick = () => this.toEnd();
    $('motd-close').onclick = () => this.#dismiss();
    new ResizeObserver(() => { if (this.#atEnd) this.toEnd(); }).observe($('scroller'));
    for (const event of ['focus', 'visibilitychange']) addEventListener(event, () => this.#look());
  }

  toEnd() {
    $('scroller').scrollTop = $('scroller').scrollHeight;
    this.#atEnd = $('newer').hidden = true;
    this.#look();
  }

  #show(conversation) {
    this.#listening?.abort();
    const { signal } = this.#listening = new AbortController();
    this.#conversation = conversation;
    put($('title'), conversation.title);
    $('text').placeholder = `Message ${conversation.title}`;
    $('scroller').replaceChildren(this.#top, conversation.log.element);
    conversation.addEventListener('added', () => this.#added(), { signal });
    conversation.addEventListener('said', () => this.toEnd(), { signal });
    conversation.addEventListener('change', () => this.#changed(), { signal });
    this.#changed();
    this.toEnd();
    this.#fillUp();
    conversation.look();
  }

  #added() {
    if (this.#atEnd) this.toEnd();
    else $('newer').hidden = false;
    this.#fillUp();
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = $('scroller');
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.#atEnd) {
      $('newer').hidden = true;
      this.#look();
    }
    this.#fillUp();
  }

  /** Reads older messages as long as somebody is near the beginning of what there is. */
  async #fillUp() {
    const conversation = this.#conversation, scroller = $('scroller');
    if (scroller.scrollTop > AHEAD) return;
    const reading = conversation.older();
    if (!reading) return this.#changed();
    const fromEnd = scroller.scrollHeight - scroller.scrollTop, before = conversation.log.size;
    await reading;
    if (conversation !== this.#conversation) return;
    scroller.scrollTop = scroller.scrollHeight - fromEnd;
    this.#changed();
    if (conversation.log.size > before) this.#fillUp();
  }

  /** Somebody sees the end, or not. */
  #look() {
    if (this.#conversation && this.#atEnd && document.visibilityState === 'visible') this.#conversation.read();
  }

  #changed() {
    const { typing, log, title, partner, state, motd, channel } = this.#conversation;
    const names = typing.names;
    put($('typing'), names.length ? `${list(names, 2)} ${names.length > 1 ? 'are' : 'is'} typing…` : '');
    const empty = !log.size && state === 'open';
    put(this.#top, empty ? `Nothing has been said ${partner ? `between you and ${partner}` : `in ${title}`} yet.` : log.complete ? `This is the beginning of ${title}.` : '');
    this.#top.classList.toggle('empty', empty);
    const shown = motd && recall('localStorage', `motd.${channel}`) !== motd.id;
    if (shown && $('motd').dataset.id !== motd.id) $('motd-text').replaceChildren(...linked(motd.text));
    $('motd').dataset.id = shown ? motd.id : '';
    $('motd').hidden = !shown;
  }

  #entitle() {
    const { unread, active } = this.#rooms;
    document.title = `${unread ? `(${unread}) ` : ''}${active ? `${active.title} · ` : ''}Comet chat`;
  }

  #dismiss() {
    remember('localStorage', `motd.${this.#conversation.channel}`, $('motd').dataset.id);
    this.#changed();
    $('text').focus();
  }
}
