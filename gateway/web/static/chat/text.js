// Small things that all parts of the chat need.

export const $ = (id) => document.getElementById(id);

/** An element with a class and text; never HTML. */
export const make = (tag, className = '', text = '') => Object.assign(document.createElement(tag), { className, textContent: text });

/** Puts text there, unless it is there already, which would make a screen reader repeat it. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** 128 random bits. crypto.randomUUID is missing where a page comes over plain http from another machine. */
export const randomKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16).padStart(8, '0')).join('');

/** Below 0 if ID a is before b. */
export function compareIDs(a, b) {
  const [[aMS, aSeq], [bMS, bSeq]] = [a, b].map((id) => id.split('-').map(Number));
  return aMS - bMS || aSeq - bSeq;
}

/** A colour for a name. Those that differ by one at the end, as node-1 and node-2, are a golden angle apart. */
export function colour(element, name) {
  const number = Array.from(name).reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 1_000_003, 0);
  element.style.setProperty('--hue', ((number * 137.508) % 360).toFixed(1));
  return element;
}

export const initial = (name) => (Array.from(name)[0] ?? '?').toUpperCase();

export function avatar(element, name) {
  element.textContent = initial(name);
  return colour(element, name);
}

/** "Ann", "Ann and Bob", "Ann, Bob and 3 others". */
export function list(names, most = 3) {
  if (names.length === 1) return names[0];
  const more = names.length > most ? `${names.length - most} other${names.length - most > 1 ? 's' : ''}` : '';
  const shown = more ? [...names.slice(0, most), more] : names;
  return `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

// The browser may forbid storage; then nothing is remembered, and that is all.
export function recall(storage, key) {
  try { return window[storage].getItem(`comet.${key}`) ?? ''; } catch { return ''; }
}
export function remember(storage, key, value) {
  try { window[storage].setItem(`comet.${key}`, value); } catch { /* as above */ }
}
export function forget(storage, key) {
  try { window[storage].removeItem(`comet.${key}`); } catch { /* as above */ }
}
