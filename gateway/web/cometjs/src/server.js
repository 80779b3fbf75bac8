// Requests to a node or a load balancer.

import { CometError } from './error.js';
import { Token } from './token.js';

/** Whether a URL would drop the channel from its path. */
export const isDots = (channel) => /^\.\.?$/.test(channel);

export function pathOf(channel) {
  if (isDots(channel)) throw new RangeError(`no URL has the channel ${channel}`);
  return `/v1/channels/${encodeURIComponent(channel)}/`;
}

export class Server {
  room = 6144; // bytes of a query: nginx, for one, takes 8 KiB of URL

  constructor(url, options) {
    this.url = new URL(url, globalThis.location?.href).href.replace(/\/$/, '');
    this.options = { heartbeat: 25_000, transport: 'auto', credentials: 'omit', share: true, ...options };
    this.token = new Token(this.options.token);
  }

  async json(...request) { return (await this.request(...request)).json(); }

  /** Resolves with a successful answer. Renews a refused token once. */
  async request(path, init, renewed) {
    const token = await this.token.get(), { credentials } = this.options;
    const headers = { ...init?.headers, ...token && { Authorization: `Bearer ${token}` } };
    const response = await fetch(this.url + path, { credentials, cache: 'no-store', ...init, headers });
    const { ok, status } = response;
    if (ok) return response;
    const problem = await response.json().catch(() => {}); // a proxy's error may be anything
    if (status === 401 && token && !renewed && await this.token.get(token) !== token) return this.request(path, init, true);
    const wait = Math.min(300, response.headers.get('Retry-After')) * 1000 || 0;
    throw new CometError({ detail: `the server answered ${status}`, ...problem, status, wait });
  }
}
