// A stream: one request whose answer does not end. It is read with fetch, as an
// EventSource can neither show a token nor is it in Node.

import { eventReader } from './events.js';
import { isPattern, nameOf, searchOf, toAll } from './items.js';
import { PATIENCE } from './time.js';

/**
 * The items of channels, each from where it is in `at`, until the server ends it.
 * `expect(ms)` is called with the time for which silence is no bad sign.
 */
export async function* stream(server, at, expect, signal) {
  const starts = [...at], read = eventReader(), pattern = starts.map(([c]) => c).find(isPattern);
  expect(2 * PATIENCE);
  const { body } = await server.request(`/v1/events?${searchOf(at, server.options)}`, { signal, headers: { Accept: 'text/event-stream' } });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  expect(PATIENCE); // comet.ready comes at once, unless a proxy waits for more
  for (let open = false; ;) {
    const { value, done } = await reader.read(), items = [];
    if (done) return;
    for (const event of read(value)) {
      const name = nameOf(event.event ?? ''), data = JSON.parse(event.data);
      const { channel, node, reason, cursors = { [channel ?? starts[0][0]]: event.id } } = data;
      if (name === 'ready') {
        for (const [c, start] of starts) items.push([c, name, { node, transport: 'sse' }, cursors[c], start]);
      } else if (name === 'bye') {
        items.push(...toAll(at.keys(), name, { reason, retry: event.retry }));
        if (/expired|revoked/.test(reason)) await server.token.get(await server.token.get()); // before we come back
      } else if (name === 'cursor') items.push([pattern, 'at', 0, event.id]);
      else if (pattern) items.push([pattern, name, data, event.id]);
      else items.push([channel, name, data, name === 'gap' ? cursors[channel] : data.id]);
    }
    if (open ||= items.length) expect(2.5 * server.options.heartbeat);
    yield items;
  }
}
