// As much of React as a hook needs: mount(component) renders it again whenever
// its state changes, and gives what it returned last.
const cells = [];
let next, effects, again;

export function useState(initial) {
  const cell = cells[next++] ??= { value: initial };
  return [cell.value, (value) => {
    cell.value = typeof value === 'function' ? value(cell.value) : value;
    again();
  }];
}

export function useEffect(effect, inputs) {
  const cell = cells[next++] ??= {};
  if (cell.inputs && inputs.every((input, i) => input === cell.inputs[i])) return;
  cell.inputs = inputs;
  effects.push(() => {
    cell.clean?.();
    cell.clean = effect();
  });
}

export function mount(component) {
  const mounted = { unmount: () => cells.forEach(({ clean }) => clean?.()) };
  let soon = false;
  const render = () => {
    [next, effects, soon] = [0, [], false];
    mounted.result = component();
    effects.forEach((effect) => effect());
  };
  again = () => {
    if (!soon) queueMicrotask(render);
    soon = true;
  };
  render();
  return mounted;
}
