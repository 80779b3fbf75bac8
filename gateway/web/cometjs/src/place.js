// Where a subscription is in a channel.
//
// The lines of all tabs are elsewhere when a subscription comes, or after they
// were opened again. It joins them where they have been at its own cursor. No
// clock, no comparison of IDs: the same cursor is the same place.

const LIMIT = 1000; // items of the lines that are kept

/** An empty channel is one place, whenever it was seen empty, which its cursor begins with (startAt in pubsub/id.go). */
const spotOf = (cursor) => `${cursor}`.replace(/^\d+-1072693248~/, '');

export class Place {
  met = false; // the lines have announced their cursor, and are connected
  joined = false; // what they bring comes next here
  #judged; // the server has said where it is: what the program gave may be too old
  #past; // what they have brought since then, if we have not joined

  constructor(channel, seen, last) {
    this.channel = channel;
    this.seen = seen; // the cursor after what was handed over
    this.at = seen || last || ''; // and after what came; or where to begin
  }

  /** The lines are at a cursor, which they reached from `start` if they began there. */
  meet(cursor, start) {
    this.met = true;
    this.joined = false;
    // They began where we wanted to, or we want what comes next.
    if (this.#is(start) || this.#is(cursor) || !this.at && start === undefined) this.begin(cursor);
    this.#past = [[this.channel, 'at', 0, cursor || start]];
  }

  /** The cursor of where it begins, if the server said. */
  begin(cursor) {
    this.#judged = true;
    this.at = cursor || this.at;
    this.seen ||= cursor;
  }

  /** Keeps what the lines brought, for when we join. If they announced no cursor before, it is not for us. */
  keep(item) {
    if (this.#past?.push(item) > LIMIT) this.#past.shift();
  }

  /** Joins the lines, if they have been here, and gives what they brought since. */
  join() {
    const i = this.#past?.findIndex(([, , , cursor]) => this.#is(cursor)) ?? -1;
    if (i < 0) return [];
    this.joined = true;
    return this.#past.splice(i + 1);
  }

  /** Lets go of the lines; here is where to join them again. */
  leave() {
    if (this.joined) this.#past = [[this.channel, 'at', 0, this.at]];
    this.joined = false;
  }

  #is(cursor) { return cursor === this.at || this.#judged && spotOf(cursor) === spotOf(this.at); }

  /** Whether all that is published from now on will come: before it has a cursor, it has yet to begin. */
  get ready() { return this.met && (this.joined || /-/.test(this.at)); }

  /** Whether the lines have been elsewhere. */
  get behind() { return this.#past && !this.joined; }
}
