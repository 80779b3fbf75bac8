// The token: asked for when it is first needed, and again when it was refused.

export class Token {
  #source; #known;

  /** The source is a text, or a function that gives one, or a promise of one. */
  constructor(source) { this.#source = source; }

  /** The token; another one, if there is, for one that was refused. Callers at the same time get the same. */
  async get(refused) {
    const known = this.#known ??= this.#ask();
    if (refused && await known === refused && this.#known === known) this.#known = this.#ask();
    return this.#known;
  }

  /** Asks once. After a failure the next caller asks again. */
  #ask() {
    const asked = this.#tokenOf(this.#source);
    asked.catch((error) => {
      console.warn('comet: no token:', error);
      if (this.#known === asked) this.#known = undefined;
    });
    return asked;
  }

  async #tokenOf(source) {
    const token = await (typeof source === 'function' ? source() : source);
    if (/[^!-~]/.test(token)) throw new TypeError('no header can have this token');
    return token;
  }
}

/** The user of a token, and the permissions; another token of the same user says the same. */
export function userOf(token = '') {
  try {
    const { iss, sub, comet } = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    return JSON.stringify([iss, sub, comet]);
  } catch { return token; } // no JWT: it tells nothing but itself
}
