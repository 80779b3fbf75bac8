// The chat: signs in, makes the parts, and goes where the address says. It speaks
// to the server only through comet.js, as any application would.
import { Composer } from './compose.js';
import { Connection } from './connection.js';
import { Outbox } from './outbox.js';
import { Rooms } from './rooms.js';
import { Sidebar } from './sidebar.js';
import { signIn } from './signin.js';
import { $ } from './text.js';
import { View } from './view.js';

const LOOK = 30_000; // ms between two looks at who is here: joins and leaves can be missed

const session = await signIn();
session.outbox = new Outbox(session);
const rooms = new Rooms(session);
new Connection(rooms, session);
new Sidebar(rooms, session);
new View(rooms);
new Composer(rooms);
$('simple').hidden = session.signed;
addEventListener('hashchange', () => rooms.go());
rooms.go();
setInterval(() => { if (document.visibilityState === 'visible') rooms.active.look(); }, LOOK);
