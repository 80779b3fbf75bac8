// The format text/event-stream, as far as Comet uses it: lines end with \n, and
// an event has one line of data.

const LIMIT = 8 << 20; // of one event, in UTF-16 units

/** Reads a text that comes in any pieces: give it the next piece, and get the events that end in it. */
export function eventReader() {
  let rest = '';
  return (text) => {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop();
    if (rest.length > LIMIT) throw new Error('an event is over 8 MiB');
    return blocks.map((block) => Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/s))))
      .filter(({ data }) => data);
  };
}
