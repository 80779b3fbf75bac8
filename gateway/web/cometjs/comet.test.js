// node --test, started by comet_test.go: COMET_TEST_URL is a proxy before two
// nodes whose paths under /-/ make trouble.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Comet, CometError } from './comet.js';
import { eventReader } from './src/events.js';

const url = process.env.COMET_TEST_URL;
const needsNodes = { skip: url ? false : 'go test ./gateway/web/cometjs starts the nodes', timeout: 120_000 };
const door = async (what) => (await fetch(`${url}/-/${what}`)).text();
const newChannel = (under = 'open') => `${under}/${Math.random().toString(36).slice(2)}`;
const tokenOf = (user, seconds = 60) => door(`token?user=${user}&seconds=${seconds}`);

/** The first n messages' data of a subscription. */
async function take(subscription, n) {
  const all = [];
  for await (const { data } of subscription) if (all.push(data) === n) return all;
}

/** Resolves with the next event of a name, if it is one that is wanted. */
const next = (subscription, name, wanted = () => true) => new Promise((resolve, reject) => {
  const off = subscription.on(name, (event) => {
    if (!wanted(event)) return;
    off();
    resolve(event);
  });
  if (name !== 'error') subscription.on('error', reject);
});

const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

async function publishNumbers(comet, channel, from, to) {
  for (const n of numbers(from, to)) await comet.publish(channel, n);
}

async function publishAtOnce(channel, from, to) {
  const body = numbers(from, to).map((data) => JSON.stringify({ channel, data })).join('\n');
  const answer = await fetch(`${url}/v1/publish`, { method: 'POST', headers: { 'Content-Type': 'application/x-ndjson' }, body });
  assert.equal(answer.status, 200, await answer.text());
}

test('eventReader', async (t) => {
  const stream = ':\n:\n\nid: 1-1\nevent: a\ndata: {"x": ": y"}\n\nretry: 5\nevent: comet.bye\ndata: {}\n\n:\ndata: "Ä\\n"\n\nevent: none\n\n';
  const want = [
    { id: '1-1', event: 'a', data: '{"x": ": y"}' },
    { retry: '5', event: 'comet.bye', data: '{}' },
    { data: '"Ä\\n"' },
  ];
  const plain = (events) => events.map(({ id, event, data, retry }) => JSON.parse(JSON.stringify({ id, event, data, retry })));
  const cut = (text, sizeOf) => {
    const read = eventReader(), events = [];
    for (let i = 0; i < text.length;) events.push(...read(text.slice(i, i += sizeOf())));
    return plain(events);
  };
  await t.test('cut anywhere', () => {
    for (let size = 1; size <= stream.length; size++) assert.deepEqual(cut(stream, () => size), plain(want), `pieces of ${size}`);
  });
  await t.test('bounded', () => {
    const read = eventReader();
    assert.throws(() => { for (let i = 0; i < 20; i++) read('data: ' + 'x'.repeat(1 << 20)); }, /8 MiB/);
  });
  await t.test('random pieces of random streams', () => {
    const parts = ['\n', '\n\n', 'data', 'data: x', ': ', ':', 'id', 'event', 'x', '\u2028', ' ', '\r'];
    const random = (n) => Math.floor(Math.random() * n);
    for (let round = 0; round < 2000; round++) {
      const text = Array.from({ length: 30 }, () => parts[random(parts.length)]).join('') + '\n\n';
      assert.deepEqual(cut(text, () => 1 + random(4)), cut(text, () => text.length), JSON.stringify(text));
    }
  });
});

for (const transport of ['sse', 'poll']) {
  test(`subscribe by ${transport}`, needsNodes, async (t) => {
    const comet = new Comet(url, { transport });
    t.after(() => comet.close());

    await t.test('a pattern, beside its channels, with resume', async () => {
      const base = newChannel('open/orders'), pattern = `${base}/**`, subscription = comet.subscribe([pattern, newChannel()]);
      await next(subscription, 'ready');
      const one = comet.subscribe(`${base}/1`), ones = take(one, 20);
      await next(one, 'ready');
      const publishing = Promise.all([1, 2, 3].map((i) => publishNumbers(comet, `${base}/${i}`, 0, 20)));
      const got = {};
      const collect = async (from, n) => { // a loop that ends within the answer to a poll gets its beginning again
        for await (const { channel, data } of from) {
          const all = got[channel] ??= [];
          if (transport === 'poll' && all.includes(data)) continue;
          all.push(data);
          if (!--n) return from.cursor;
        }
      };
      const cursor = await collect(subscription, 25);
      const other = new Comet(url, { transport });
      t.after(() => other.close());
      await collect(other.subscribe(pattern, { cursor: { [pattern]: cursor[pattern] } }), 35);
      await publishing;
      assert.deepEqual(got, Object.fromEntries([1, 2, 3].map((i) => [`${base}/${i}`, numbers(0, 20)])));
      assert.deepEqual(await ones, numbers(0, 20));
      const { messages } = await comet.history(pattern, { limit: 1000 });
      assert.equal(messages.length, 60);
    });

    await t.test('the next messages, in a loop', async () => {
      const channel = newChannel(), subscription = comet.subscribe(channel);
      await comet.publish(channel, 'before');
      const { transport: by } = await next(subscription, 'ready');
      assert.equal(by, transport);
      const taken = take(subscription, 3);
      for (const n of [1, 2, 3]) await comet.publish(channel, n);
      assert.deepEqual(await taken, [1, 2, 3]);
      assert.equal(subscription.state, 'closed');
    });

    await t.test('the last, then a cursor, of several channels', async () => {
      const channels = [newChannel(), newChannel()];
      for (const n of numbers(0, 4)) for (const channel of channels) await comet.publish(channel, n);
      const first = comet.subscribe(channels, { last: 2 });
      assert.deepEqual((await take(first, 4)).sort(), [2, 2, 3, 3]);
      const kept = JSON.parse(JSON.stringify(first.cursor));
      assert.deepEqual(Object.keys(kept).sort(), [...channels].sort());
      await comet.publish(channels[1], 'more');
      assert.deepEqual(await take(comet.subscribe(channels, { cursor: kept }), 1), ['more']);
      assert.deepEqual(await take(comet.subscribe(channels[0], { cursor: 'earliest' }), 4), [0, 1, 2, 3]);
    });

    await t.test('a channel that others have already, each from where it wants', async () => {
      const channel = newChannel();
      await publishNumbers(comet, channel, 0, 5);
      const all = take(comet.subscribe(channel, { cursor: 'earliest' }), 8);
      const two = comet.subscribe(channel, { last: 2 }), now = comet.subscribe(channel);
      const five = take(two, 5), three = take(now, 3);
      await Promise.all([two, now].map((subscription) => next(subscription, 'ready')));
      await publishNumbers(comet, channel, 5, 8);
      assert.deepEqual(await all, numbers(0, 8));
      assert.deepEqual(await five, numbers(3, 8));
      assert.deepEqual(await three, numbers(5, 8));
    });

    await t.test('a loop that is slower than a thousand messages', async () => {
      const channel = newChannel(), got = [];
      const subscription = comet.subscribe(channel);
      const ready = next(subscription, 'ready');
      const loop = (async () => {
        for await (const { data } of subscription) {
          if (got.push(data) === 1) await published;
          if (got.length === 2500) return;
        }
      })();
      await ready;
      const published = publishAtOnce(channel, 0, 1000)
        .then(() => Promise.all([publishAtOnce(channel, 1000, 2000), publishAtOnce(channel, 2000, 3000)]));
      await loop;
      assert.deepEqual(got.slice(0, 1000), numbers(0, 1000));
      assert.equal(new Set(got).size, 2500);
    });

    await t.test('nothing is left of it when it is closed', { timeout: 60_000 }, async () => {
      comet.close();
      while (JSON.parse(await door('streams')).open);
    });
  });
}

test('a final error ends it', needsNodes, async (t) => {
  const comet = new Comet(url);
  t.after(() => comet.close());
  await assert.rejects(take(comet.subscribe('private/1'), 1), (error) => error instanceof CometError && error.status === 401 && /private\/1/.test(error.message));
  await assert.rejects(take(comet.subscribe(newChannel(), { cursor: 'nonsense' }), 1), { status: 400, type: 'urn:comet:problem:invalid-cursor' });
  await assert.rejects(comet.publish('bad{', 1), { status: 400 });
  const keyed = newChannel();
  await comet.publish(keyed, 1, { key: 'k' });
  await assert.rejects(comet.publish(keyed, 2, { key: 'k' }), { status: 409, type: 'urn:comet:problem:idempotency-key-reused' });
  await assert.rejects(comet.publish(newChannel(), undefined), TypeError);
  const good = newChannel(), other = newChannel();
  const listening = comet.subscribe(good), both = comet.subscribe([other, 'open/{']);
  const error = next(both, 'error');
  await next(listening, 'ready');
  assert.equal((await error).status, 400);
  assert.equal(both.state, 'closed');
  const one = take(listening, 1);
  await comet.publish(good, 'still here');
  assert.deepEqual(await one, ['still here']);
});

/** A subscription whose connections break again and again gets what is published in all of its channels, once. */
async function getsAll(t, channels) {
  const comet = new Comet(url);
  t.after(() => comet.close());
  const subscription = comet.subscribe(channels), got = [];
  const all = next(subscription, 'message', ({ channel, data }) => got.push(`${channel} ${data}`) === 3 * channels.length);
  let ready = next(subscription, 'ready');
  for (const n of numbers(0, 3)) {
    await ready;
    const broken = next(subscription, 'state', (state) => state === 'connecting');
    ready = next(subscription, 'ready'); // it may come while the messages are published
    await door('drop');
    await broken;
    await Promise.all(channels.map((channel) => comet.publish(channel, n)));
  }
  await all;
  assert.deepEqual(got.sort(), channels.flatMap((channel) => numbers(0, 3).map((n) => `${channel} ${n}`)).sort());
}

test('many channels of long names never make a URL that is too long', needsNodes, async (t) => {
  const base = newChannel();
  for (const name of [`${base}/${'x'.repeat(60)}`, `${base}/${'я'.repeat(100)}`]) {
    await door('longest');
    await getsAll(t, numbers(0, 64).map((n) => `${name}${n}`));
    const longest = +await door('longest');
    assert.ok(longest > 4000 && longest < 6400, `${longest} bytes`);
  }
});

test('a URL that is too long for what is on the way is split', needsNodes, async (t) => {
  t.after(() => door('takes?bytes=0'));
  for (const status of [414, 431, 400]) {
    await door(`takes?bytes=1000&or=${status}`);
    await getsAll(t, numbers(0, 30).map((n) => `${newChannel()}/${n}`));
  }
  await door('takes?bytes=100&or=414');
  await assert.rejects(take(new Comet(url).subscribe(`open/${'x'.repeat(100)}`), 1), { status: 414 });
});

test('a channel may have any name', needsNodes, async (t) => {
  for (const channel of ['constructor', 'toString', 'valueOf', '__proto__', 'hasOwnProperty', '..', '.', '...', 'open/../b', '%2e', 'a b+c', '😀']) {
    const comet = new Comet(url);
    t.after(() => comet.close());
    const receipt = await comet.publish(channel, 0);
    assert.equal(receipt.channel, channel);
    const subscription = comet.subscribe([channel, 'other'], { cursor: JSON.parse('{}'), last: 1 }), two = take(subscription, 2);
    await next(subscription, 'ready');
    await comet.publish(channel, 1);
    assert.deepEqual(await two, [0, 1]);
    assert.deepEqual(Object.keys(subscription.cursor).sort(), [channel, 'other'].sort());
    await comet.publish(channel, 2);
    const kept = JSON.parse(JSON.stringify(subscription.cursor));
    assert.deepEqual(await take(comet.subscribe([channel, 'other'], { cursor: kept }), 1), [2]);
  }
  const comet = new Comet(url);
  assert.equal((await comet.publish('..', 0, { key: 'again' })).duplicate, false);
  assert.equal((await comet.publish('..', 0, { key: 'again' })).duplicate, true);
  assert.equal((await comet.publish('..', 0, { ephemeral: true })).id, undefined);
  await assert.rejects(comet.publish('..', 0, { type: 'a b' }), { status: 400, type: 'urn:comet:problem:invalid-type' });
  await assert.rejects(async () => comet.history('..'), RangeError);
});

test('history and types', needsNodes, async () => {
  const comet = new Comet(url), channel = newChannel();
  const receipt = await comet.publish(channel, { a: 1 }, { type: 'price' });
  await comet.publish(channel, 'second');
  const page = await comet.history(channel, { limit: 1, order: 'asc' });
  assert.equal(page.more, true);
  assert.equal(page.messages[0].id, receipt.id);
  assert.equal(page.messages[0].type, 'price');
  assert.equal((await comet.publish(channel, 1, { ephemeral: true })).id, undefined);
});

test('senders and tags', needsNodes, async (t) => {
  const token = await tokenOf('alice'), channel = newChannel('private');
  const alice = new Comet(url, { token }), bob = new Comet(url, { token: await tokenOf('bob') });
  const others = ['sse', 'poll'].map((transport) => new Comet(url, { token, transport, skipSelf: true }));
  for (const comet of [alice, bob, ...others]) t.after(() => comet.close());
  const subscriptions = others.map((comet) => comet.subscribe(channel)), all = bob.subscribe(channel);
  const heard = [];
  all.on('message', ({ data, from, tags }) => heard.push([data, from, tags]));
  await Promise.all([...subscriptions, all].map((s) => next(s, 'ready')));
  const taken = subscriptions.map((s) => take(s, 2));
  await alice.publish(channel, 1);
  await bob.publish(channel, 2, { tags: { room: '42', 'a/b': 'ü, "' } });
  await alice.publish(channel, 3, { tags: {} });
  await bob.publish(channel, 4, { ephemeral: true, tags: { last: '' } });
  assert.deepEqual(await Promise.all(taken), [[2, 4], [2, 4]]);
  while (heard.length < 4) await next(all, 'message');
  assert.deepEqual(heard, [[1, 'alice', undefined], [2, 'bob', { room: '42', 'a/b': 'ü, "' }], [3, 'alice', undefined], [4, 'bob', { last: '' }]]);
  assert.deepEqual((await alice.history(channel)).messages.map(({ from }) => from), ['alice', 'bob', 'alice']);
  await assert.rejects(alice.publish(channel, 5, { tags: { 'a b': '' } }), ({ status, detail }) => status === 400 && detail.includes('tags'));
  const anonymous = new Comet(url, { skipSelf: true });
  t.after(() => anonymous.close());
  assert.match((await next(anonymous.subscribe(newChannel()), 'error')).message, /skip_self/);
});

test('a publish whose answer is lost is published once', needsNodes, async () => {
  const comet = new Comet(url), channel = newChannel();
  await door('cut?answers=2');
  const receipts = await Promise.all(numbers(0, 4).map((n) => comet.publish(channel, n)));
  assert.ok(receipts.every(({ duplicate }) => !duplicate));
  const { messages } = await comet.history(channel);
  assert.deepEqual(messages.map(({ data }) => data), numbers(0, 4));
  assert.deepEqual(messages.map(({ id }) => id), receipts.map(({ id }) => id));
  const key = `key-${channel}`;
  await comet.publish(channel, 'once', { key });
  assert.equal((await comet.publish(channel, 'once', { key })).duplicate, true);
});

test('the outbox is bounded', needsNodes, async () => {
  const comet = new Comet('http://127.0.0.1:1');
  const waiting = numbers(0, 1000).map((n) => comet.publish('c', n, { ephemeral: true }));
  await assert.rejects(comet.publish('c', 'too many'), /1000 messages wait/);
  assert.ok((await Promise.allSettled(waiting)).every(({ status }) => status === 'rejected'));
});

test('tokens', needsNodes, async (t) => {
  await t.test('are renewed when they expire, on streams and else', async () => {
    let asked = 0;
    const user = `u${Math.random()}`, channel = newChannel('private');
    const comet = new Comet(url, { token: () => tokenOf(user, asked++ ? 60 : 2) });
    t.after(() => comet.close());
    const subscription = comet.subscribe(channel);
    const byes = [];
    subscription.on('bye', ({ reason }) => byes.push(reason));
    await next(subscription, 'ready');
    await next(subscription, 'ready'); // again
    assert.deepEqual(byes, ['token-expired']);
    assert.equal(asked, 2);
    const one = take(subscription, 1);
    await comet.publish(channel, 1);
    assert.deepEqual(await one, [1]);
  });
  await t.test('are asked for again at a 401', async () => {
    let asked = 0;
    const comet = new Comet(url, { token: async () => (asked++ ? tokenOf('bob') : 'a.bad.token') });
    const channel = newChannel('private');
    await Promise.all([comet.publish(channel, 1), comet.history(channel), comet.history(channel)]);
    assert.equal(asked, 2);
  });
  await t.test('end it when there is no other', async () => {
    const user = `u${Math.random()}`, text = await tokenOf(user);
    const comet = new Comet(url, { token: text }), subscription = comet.subscribe(newChannel('private'));
    await next(subscription, 'ready');
    const over = next(subscription, 'error');
    await door(`throwout?user=${user}`);
    assert.match((await over).type, /credential-revoked/);
    assert.equal(subscription.state, 'closed');
  });
  await t.test('that are not valid yet are waited for', async () => {
    const comet = new Comet(url, { token: () => door('token?user=bob&ahead=4&seconds=60') }), subscription = comet.subscribe(newChannel('private'));
    t.after(() => comet.close());
    await next(subscription, 'ready');
  });
  await t.test('of a revoked user are waited for, if there are new ones', async () => {
    const user = `u${Math.random()}`, comet = new Comet(url, { token: () => tokenOf(user) }), subscription = comet.subscribe(newChannel('private'));
    t.after(() => comet.close());
    await next(subscription, 'ready');
    const again = next(subscription, 'ready');
    await door(`throwout?user=${user}`);
    await again;
  });
  await t.test('that cannot be had are waited for', async () => {
    let asked = 0;
    const comet = new Comet(url, { token: () => { if (!asked++) throw new Error('on purpose'); return tokenOf('bob'); } });
    const { warn } = console;
    console.warn = () => {};
    await comet.publish(newChannel('private'), 1);
    console.warn = warn;
    assert.equal(asked, 2);
  });
});

test('nothing fails silently', async (t) => {
  const { warn } = console, warned = [];
  console.warn = (...words) => warned.push(words.join(' '));
  t.after(() => { console.warn = warn; });
  const retries = async (comet) => {
    const subscription = comet.subscribe(['a', 'b']), all = [];
    t.after(() => comet.close());
    for (let i = 1; i <= 2; i++) {
      const { error, wait, failures } = await next(subscription, 'retry');
      assert.ok(error instanceof Error && wait >= 0);
      assert.equal(failures, i); // once for both channels
      all.push(error.message);
    }
    return all;
  };
  const closed = 'http://127.0.0.1:1';
  await t.test('a wrong address', async () => {
    for (const message of await retries(new Comet(closed))) assert.match(message, /fetch failed/);
    assert.match(warned.at(-1), /comet: retry/);
  });
  await t.test('a token function that throws, rejects, or gives a page', async () => {
    for (const [token, want] of [
      [() => { throw new Error('on purpose'); }, /on purpose/],
      [() => Promise.reject(new Error('on purpose')), /on purpose/],
      [async () => '<!doctype html>\n<p>Not found', /no header/],
      ['\n', /no header/],
    ]) {
      for (const message of await retries(new Comet(closed, { token }))) assert.match(message, want);
      await assert.rejects(new Comet(closed, { token }).history('a'), want);
      assert.ok(warned.some((line) => /no token/.test(line) && want.test(line)));
    }
  });
});

test('a proxy that buffers is noticed', needsNodes, async (t) => {
  await door('buffer?on=1');
  t.after(() => door('buffer?on=0'));
  await Promise.all([url, process.env.COMET_TEST_BUFFERING].filter(Boolean).map(async (address) => {
    const comet = new Comet(address), channel = newChannel();
    t.after(() => comet.close());
    await comet.publish(channel, 0);
    const subscription = comet.subscribe(channel, { cursor: 'earliest' });
    const taken = take(subscription, 3), { transport } = await next(subscription, 'ready');
    assert.equal(transport, 'poll');
    await publishNumbers(comet, channel, 1, 3);
    assert.deepEqual(await taken, [0, 1, 2]);
  }));
});

for (const how of ['kill', 'leave']) {
  for (const transport of ['sse', 'poll']) {
    test(`a node that goes (${how}) costs no message by ${transport}`, needsNodes, async (t) => {
      const comet = new Comet(url, { transport }), channels = [newChannel(), newChannel()];
      t.after(() => comet.close());
      const subscription = comet.subscribe(channels), byes = [], got = { [channels[0]]: [], [channels[1]]: [] };
      const done = next(subscription, 'message', ({ channel, data }) => got[channel].push(data) && channels.every((c) => got[c].length === 100));
      subscription.on('gap', (gap) => assert.fail(JSON.stringify(gap)));
      subscription.on('bye', ({ reason }) => byes.push(reason));
      const { node } = await next(subscription, 'ready');
      const index = node.slice(-1) - 1;
      const publishing = Promise.all(channels.map((c) => publishNumbers(comet, c, 0, 100)));
      await next(subscription, 'message', ({ data }) => data === 20);
      await door(`${how}?node=${index}`);
      await Promise.all([publishing, done]);
      for (const channel of channels) assert.deepEqual(got[channel], numbers(0, 100));
      if (how === 'leave' && transport === 'sse') assert.deepEqual(byes, ['shutdown']);
      await door(`start?node=${index}`);
    });
  }
}

test('silence is a dead connection', needsNodes, async (t) => {
  const comet = new Comet(url, { heartbeat: 200 }), channel = newChannel(); // the server's is 25 s
  t.after(() => comet.close());
  const subscription = comet.subscribe(channel), states = [], got = [];
  subscription.on('state', (state) => states.push(state));
  const three = next(subscription, 'message', ({ data }) => got.push(data) === 3);
  for (const n of numbers(0, 3)) {
    await next(subscription, 'ready');
    await comet.publish(channel, n);
  }
  await three;
  assert.deepEqual(got, [0, 1, 2]);
  assert.deepEqual(states.slice(0, 4), ['open', 'connecting', 'open', 'connecting']);
});

test('a gap is reported', needsNodes, async (t) => {
  const comet = new Comet(url), channels = [newChannel(), newChannel()];
  t.after(() => comet.close());
  const { id } = await comet.publish(channels[0], 0);
  // After a message that this log never had, of a later time, the log has gone back.
  const ahead = id.replace(/^\d+/, (ms) => +ms + 3_600_000);
  const subscription = comet.subscribe(channels, { cursor: { [channels[0]]: ahead } });
  const gap = await next(subscription, 'gap');
  assert.equal(gap.channel, channels[0]);
  assert.equal(gap.reason, 'rewound');
  const again = comet.subscribe(channels[0], { cursor: subscription.cursor });
  again.on('gap', () => assert.fail('it was reported'));
  const one = take(again, 1);
  await next(again, 'ready');
  await comet.publish(channels[0], 1);
  assert.deepEqual(await one, [1]);
});
