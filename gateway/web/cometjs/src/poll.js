// Long-polls: a request per answer, for use behind a proxy that buffers streams.

import { isPattern, nameOf, searchOf } from './items.js';
import { PATIENCE } from './time.js';

const WAIT = 25; // s that the server may wait for something to tell

/** The items of channels, each from where it is in `at`, until the node leaves; `expect` is as for a stream. */
export async function* poll(server, at, expect, signal) {
  for (let wait = 0; ; wait = WAIT) { // the first one is answered at once, and tells where we are
    const starts = [...at], began = Date.now(), pattern = starts.map(([c]) => c).find(isPattern);
    expect(1000 * wait + 2 * PATIENCE);
    const response = await server.request(`/v1/poll?wait=${wait}&${searchOf(at, server.options)}`, { signal });
    const { cursor, messages, gap, cursors = { [starts[0][0]]: cursor } } = await response.json();
    const items = gap.map((g) => [g.channel, 'gap', g]);
    // Where there is a gap it may belong between messages, so none of them is a place to go on from.
    for (const m of messages) items.push([pattern ?? m.channel, nameOf(m.type), m, gap.length || pattern ? '' : m.id]);
    for (const [c, start] of starts) if (cursors[c] !== start) items.push([c, 'at', 0, cursors[c]]);
    if (wait && !items.length && Date.now() - began < 1000) return; // nothing, so soon: the node leaves
    if (!wait) {
      const data = { node: response.headers.get('Comet-Node'), transport: 'poll' };
      items.unshift(...starts.map(([c, start]) => [c, 'ready', data, /-/.test(start) ? start : '', start]));
    }
    yield items;
  }
}
