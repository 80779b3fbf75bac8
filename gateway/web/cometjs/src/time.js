// How long to wait, and what ends a wait early.

/** In ms, for what comes at once unless something on the way holds it back. */
export const PATIENCE = 5000;

/**
 * The ms to wait after a number of failures, at least what the server asked for.
 * Full jitter: clients that failed together do not return together.
 */
export const backoff = (failures, asked = 0) =>
  Math.max(asked * (1 + Math.random() / 4), Math.random() * Math.min(30_000, 1000 * 2 ** failures));

export const offline = () => globalThis.navigator?.onLine === false;

/** Called when the network comes or goes, or somebody looks at the page: timers may have slept. */
export const sleepers = new Set();
export const wake = () => sleepers.forEach((fn) => fn());
for (const event of ['online', 'offline', 'pageshow']) globalThis.addEventListener?.(event, wake);
globalThis.document?.addEventListener('visibilitychange', wake);

/** Ends after ms, or when everyone is woken. */
export async function pause(ms) {
  let timer, end;
  await new Promise((resolve) => {
    sleepers.add(end = resolve);
    timer = setTimeout(end, ms);
  });
  sleepers.delete(end);
  clearTimeout(timer);
}
