// How numbers, times and elements are written.

export const $ = (id) => document.getElementById(id);

/** An element with a class and text; never HTML. */
export const make = (tag, className = '', text = '') => Object.assign(document.createElement(tag), { className, textContent: text });

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const two = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const one = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

/** 1,234; – for none. */
export const number = (x) => x == null ? '–' : Number.isInteger(x) || Math.abs(x) >= 100 ? whole.format(x) : fine(x);

/** A measured value, with as many places as change nothing in its width while it is small. */
export const fine = (x) => x == null ? '–' : x < 10 ? two.format(x) : x < 100 ? one.format(x) : whole.format(x);

/** 12K, for where there is little room. */
export const short = (x) => x == null ? '' : compact.format(x);

/** Bytes as MiB or GiB. */
export const bytes = (x) => !x ? '–' : x < 2 ** 30 ? `${whole.format(x / 2 ** 20)} MiB` : `${two.format(x / 2 ** 30)} GiB`;

/** Any number of bytes, shortly. */
export const size = (x) => x < 1024 ? `${whole.format(x)} B` : x < 2 ** 20 ? `${fine(x / 1024)} KiB` : `${fine(x / 2 ** 20)} MiB`;

/** Milliseconds between two times as 45 s, 12 min, 3 h or 5 d. */
export function span(ms) {
  const s = Math.max(0, ms / 1000);
  if (s < 100) return `${Math.floor(s)} s`;
  if (s < 6000) return `${Math.floor(s / 60)} min`;
  return s < 48 * 3600 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

export const plural = (n, word) => `${number(n)} ${word}${n === 1 ? '' : 's'}`;

export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

/** Puts text there, unless it is there already, which would make a screen reader repeat it. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
