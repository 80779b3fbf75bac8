// The interface of comet.js. docs/protocol.md has what the words mean.

export interface Options {
  /**
   * Shown as `Authorization: Bearer`. A function is called when a token is first needed, and again whenever the last one was
   * refused or has expired; `undefined` means anonymous. While it fails, or gives what no header can have, it is called again, ever more slowly: see
   * the event `retry`. `history` and `presence` fail with its error.
   */
  token?: string | (() => string | undefined | Promise<string | undefined>);
  /** `auto` (default): a stream, and long-polls for a while where a proxy keeps streams back. */
  transport?: 'auto' | 'sse' | 'poll';
  /**
   * Whether tabs share their connection. `true` (default): those with the same server and user, as the token says it. A text: those with
   * the same text, for tokens that are no JWT, or cookies. Never in Node, nor on pages that came over plain HTTP (but localhost).
   */
  share?: boolean | string;
  /** As for `fetch`; `omit` unless given. With anything else tabs share only if `share` is a text that names the user. */
  credentials?: RequestCredentials;
  /**
   * Leaves the messages of the client's own user, or key, out of its subscriptions. It needs a token. A subscription that has none, or one in a channel
   * whose messages have no sender, ends with an error.
   */
  skipSelf?: boolean;
  /** The server's `http.heartbeat` in ms; 25,000 unless given. Silence of 2.5 times that is a dead connection. */
  heartbeat?: number;
}

export interface SubscribeOptions {
  /** Where to begin: the `cursor` of an earlier subscription, or `earliest`, or the cursor of the only channel. Default: with the next message. */
  cursor?: Cursor | string;
  /** Begin with this number of the newest messages, 1 to 1000, in channels without a cursor. */
  last?: number;
}

/** By channel, where a subscription is. Made to be kept as JSON, and given back. */
export type Cursor = Record<string, string>;

export interface Message<Data = any> {
  /** Absent if it is ephemeral. */
  id?: string;
  ephemeral?: true;
  channel: string;
  type: string;
  data: Data;
  /** RFC 3339, in UTC. */
  time: string;
  /** The verified sender: the user of its token, or `key:` and the name of its key. Absent if it was anonymous. */
  from?: string;
  tags?: Record<string, string>;
}

export interface Gap {
  channel: string;
  from: string;
  to: string;
  reason: 'trimmed' | 'restarted' | 'rewound' | 'failover' | 'unreadable';
}

export interface Receipt {
  /** Absent if it is ephemeral. */
  id?: string;
  channel: string;
  /** A message with the same `key` was published before, and this is its ID. */
  duplicate: boolean;
}

export interface Presence {
  channel: string;
  count: number;
  users: { user: string; info?: unknown; since: string }[];
  /** There are more: give it as `after`. */
  next?: string;
}

export interface Events<Data = any> {
  message: Message<Data>;
  /** Messages may be missing before the next one. */
  gap: Gap;
  /** Connected, again too: whatever is published from now on comes. */
  ready: { node: string; transport: 'sse' | 'poll' };
  /** The server closes the stream; it is opened again. */
  bye: { reason: string };
  state: State;
  /**
   * No connection, or no token: the next try comes in `wait` ms, after this number of `failures` in a row. For a developer's
   * console: a node that restarts is one too. The second in a row is logged.
   */
  retry: { error: Error; wait: number; failures: number };
  /** It is over: asking again cannot help. */
  error: Error;
  /** Users that come and go, in channels with presence. */
  join: Message<{ user: string; info?: unknown }>;
  leave: Message<{ user: string; info?: unknown }>;
}

export type State = 'connecting' | 'open' | 'closed';

/** It begins with the first `on` or the first turn of a loop, and yields messages. Leaving the loop closes it. */
export interface Subscription<Data = any> extends AsyncIterable<Message<Data>> {
  readonly state: State;
  /** Everything up to here was handed over. */
  readonly cursor: Cursor;
  /** Calls `fn` at each such event; what it returns ends that. */
  on<Name extends keyof Events<Data>>(name: Name, fn: (event: Events<Data>[Name]) => void): () => void;
  close(): void;
}

/** A refusal of the server. */
export class CometError extends Error {
  readonly status: number;
  /** As `urn:comet:problem:forbidden`. */
  readonly type?: string;
  readonly detail: string;
  /** Of several, those that it is about. */
  readonly channels?: string[];
}

export class Comet {
  /** `url` is the address of a node, or of what stands before nodes; in a page, its own origin unless given. */
  constructor(url?: string, options?: Options);
  /**
   * `Data` is what messages carry. It is not checked. Channels may be patterns, such as `orders/*`, where the server has a rule for them: each message says
   * its channel.
   */
  subscribe<Data = any>(channels: string | string[], options?: SubscribeOptions): Subscription<Data>;
  /**
   * Publishes once, after what was published to the channel before. Failures that a repetition can help are tried again for 4 minutes from when it could
   * first have been sent; while the browser is offline it waits. Rejects at once if 1,000 messages wait. An ephemeral message
   * is tried once.
   */
  publish(channel: string, data: unknown, options?: { type?: string; ephemeral?: boolean; key?: string; tags?: Record<string, string> }): Promise<Receipt>;
  /** As presence, it throws a RangeError for the channels `.` and `..`, which a URL drops from its path. */
  history<Data = any>(channel: string, options?: { after?: string; before?: string; limit?: number; order?: 'asc' | 'desc' }): Promise<{ messages: Message<Data>[]; more: boolean }>;
  presence(channel: string, options?: { after?: string; limit?: number }): Promise<Presence>;
  /** Closes all subscriptions. */
  close(): void;
}
