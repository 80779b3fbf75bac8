// Items are what connections bring, each for one channel: [channel, name, data,
// the cursor after it, where the channel began]. Its names are those of the
// events of a subscription, and:
//   at    the channel is now at this cursor, with nothing to tell
//   lost  the connection broke; its data is that of the event retry

/** The same item in each of some channels. */
export const toAll = (channels, name, data) => Array.from(channels, (channel) => [channel, name, data]);

/** The name of what comes with a type: what the server itself says has one of its own, all else is a message. */
export const nameOf = (type) => /^comet\.(.*)|/.exec(type)[1] ?? 'message';

/** Whether a channel is a pattern, which has a line of its own. */
export const isPattern = (channel) => channel.includes('*');

/** The bytes that a channel adds to that query, with a cursor as long as they get. */
export const sizeOf = (channel) => 72 + `${new URLSearchParams({ c: channel })}`.length;

/** The query for channels, each from where it is: a cursor, or a number of the last messages. */
export function searchOf(at, { skipSelf }) {
  const search = new URLSearchParams(skipSelf ? 'skip_self' : '');
  for (const [channel, start] of at) {
    search.append('channel', channel);
    search.append('cursor', start > 0 ? '' : start);
    search.append('last', start > 0 ? start : '');
  }
  return search;
}
