// The sign-in: a name, and a token for it where the server gives tokens. In an
// application its own sign-in stands here; the demo believes every name.
import { Comet } from '/comet.js';
import { $, forget, recall, remember } from './text.js';

const DESK = '/demo/token';

/**
 * Resolves with the user: { me, comet, signed }; signed is false where there
 * are no tokens, as at `comet serve`. Asks unless this tab knows the name. */
export async function signIn() {
  const name = recall('sessionStorage', 'name');
  if (!name) return ask('');
  return enter(name).catch((error) => ask(error.message));
}

export function signOut() {
  forget('sessionStorage', 'name');
  location.reload();
}

function ask(problem) {
  $('name').value = recall('sessionStorage', 'name') || recall('localStorage', 'name');
  $('sign-in-problem').textContent = problem;
  $('sign-in').onclose = () => $('sign-in').showModal(); // Escape: there is no page under it yet
  $('sign-in').showModal();
  return new Promise((resolve) => {
    $('sign-in-form').onsubmit = async (e) => {
      e.preventDefault();
      $('sign-in-problem').textContent = '';
      try {
        const session = await enter($('name').value.trim().normalize());
        $('sign-in').onclose = null;
        $('sign-in').close();
        resolve(session);
      } catch (error) {
        $('sign-in-problem').textContent = error.message;
      }
    };
  });
}

async function enter(name) {
  if (!name) throw new Error('Give a name.');
  let first = await tokenFor(name);
  for (const storage of ['localStorage', 'sessionStorage']) remember(storage, 'name', name);
  if (!first) return { me: name, signed: false, comet: new Comet() };
  const token = () => { // the first one, then a new one whenever the last is over
    const known = first;
    first = undefined;
    return known ?? tokenFor(name);
  };
  return { me: name, signed: true, comet: new Comet('/', { token }) };
}

/** A token; undefined where the server gives none. */
async function tokenFor(name) {
  const response = await fetch(DESK, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ name }) })
    .catch(() => { throw new Error('The server cannot be reached.'); });
  if (response.status === 404) return undefined;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail ?? `The server answered ${response.status}.`);
  return answer.token;
}
