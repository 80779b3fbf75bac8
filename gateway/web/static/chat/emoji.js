// Emoji, by :name: or from a small table.
import { $, make } from './text.js';

const table = {
  smile: '😄', grin: '😁', joy: '😂', wink: '😉', blush: '😊', heart_eyes: '😍', thinking: '🤔', sunglasses: '😎',
  cry: '😢', sob: '😭', scream: '😱', angry: '😠', sleeping: '😴', shrug: '🤷', wave: '👋', clap: '👏',
  '+1': '👍', '-1': '👎', ok: '👌', pray: '🙏', muscle: '💪', eyes: '👀', heart: '❤️', broken_heart: '💔',
  tada: '🎉', fire: '🔥', rocket: '🚀', comet: '☄️', star: '⭐', sparkles: '✨', bulb: '💡', bug: '🐛',
  white_check_mark: '✅', x: '❌', warning: '⚠️', question: '❓', coffee: '☕', cake: '🍰', beer: '🍺', zzz: '💤',
};

/** The text with each :name: that is known as its emoji. */
export const withEmoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (all, name) => Object.hasOwn(table, name) ? table[name] : all);

/** The table, shown by its button until one is chosen, or Escape. */
export class Picker {
  constructor(choose) {
    $('emoji').append(...Object.entries(table).map(([name, character]) => Object.assign(make('button', 'quiet', character), {
      type: 'button', title: `:${name}:`, ariaLabel: name.replaceAll('_', ' '),
      onclick: () => {
        this.#show(false);
        choose(character);
      },
    })));
    $('emoji-button').onclick = () => this.#show($('emoji').hidden);
    $('emoji').onkeydown = (e) => this.#move(e);
    addEventListener('keydown', (e) => {
      if (e.key !== 'Escape' || $('emoji').hidden) return;
      this.#show(false);
      $('text').focus();
    });
    addEventListener('pointerdown', (e) => { if (!$('composer').contains(e.target)) this.#show(false); });
  }

  #show(open) {
    $('emoji').hidden = !open;
    $('emoji-button').setAttribute('aria-expanded', open);
    if (open) $('emoji').firstChild.focus();
  }

  /** Arrows go through the table. */
  #move(e) {
    const all = [...$('emoji').children], wide = all.filter(({ offsetTop }) => offsetTop === all[0].offsetTop).length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide }[e.key];
    if (!by) return;
    e.preventDefault();
    all[all.indexOf(document.activeElement) + by]?.focus();
  }
}
