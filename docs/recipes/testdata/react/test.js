import { mount } from 'react';
import { useChannel } from './recipe.mjs';

let channel = 'first';
const mounted = mount(() => useChannel(channel, { last: 2 }));
const until = async (done) => {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
};
const seen = () => mounted.result.messages.map(({ data }) => data).join();

await until(() => mounted.result.state === 'open');
for (const n of [1, 2, 3]) await mounted.result.publish(n);
await until(() => seen() === '2,3');
mounted.unmount();
console.log(seen());
