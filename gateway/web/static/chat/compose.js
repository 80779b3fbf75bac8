// Where messages are written: Enter sends, Shift+Enter is a new line.
import { $ } from './text.js';
import { Picker, withEmoji } from './emoji.js';

export class Composer {
  #drafts = new Map(); // conversation → text
  #rooms; #last = null;

  constructor(rooms) {
    this.#rooms = rooms;
    new Picker((character) => this.#insert(character));
    $('text').disabled = false;
    $('composer').onsubmit = (e) => this.#send(e);
    $('text').oninput = () => { if ($('text').value.trim()) rooms.active.typing.type(); };
    $('text').onkeydown = (e) => {
      if (e.key !== 'Enter' || e.shiftKey || e.isComposing) return;
      e.preventDefault();
      $('composer').requestSubmit();
    };
    addEventListener('keydown', (e) => {
      if (!e.altKey || !/^Arrow(Up|Down)$/.test(e.key)) return;
      e.preventDefault();
      rooms.step(e.key === 'ArrowUp' ? -1 : 1);
    });
    rooms.addEventListener('switch', () => this.#switch());
  }

  #send(e) {
    e.preventDefault();
    const text = withEmoji($('text').value.trim());
    $('text').value = '';
    $('text').focus();
    if (text) this.#rooms.active.say(text);
  }

  /** Each conversation keeps what was begun there. */
  #switch() {
    if (this.#last) this.#drafts.set(this.#last, $('text').value);
    this.#last = this.#rooms.active;
    $('text').value = this.#drafts.get(this.#last) ?? '';
    if (!matchMedia('(pointer: coarse)').matches) $('text').focus(); // on a phone it would open the keyboard
  }

  #insert(character) {
    $('text').focus();
    $('text').setRangeText(character, $('text').selectionStart, $('text').selectionEnd, 'end');
  }
}
