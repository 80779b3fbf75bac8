// The charts: a line for each node, in its colour.
import { make, number, short } from './text.js';

const COLOURS = 8; // --series-1 and so on
const HEIGHT = 180;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** The CSS variable of a node's colour. */
export const series = (n) => `series-${(n % COLOURS) + 1}`;

/** The value of a report in each chart; stacked, where the sum means something. */
const shown = {
  streams: { of: (r) => r.connections.streams, stacked: true },
  deliveries: { of: (r) => r.deliveries.per_second, stacked: true },
  cpu: { of: (r) => r.cpu_percent },
  relay: { of: (r) => r.relay_delay_ms },
};

export class Charts {
  #cluster; #drawn = new Map(); // element → {chart, lines}

  constructor(cluster) {
    this.#cluster = cluster;
    const plots = document.querySelectorAll('[data-chart]');
    const resized = new ResizeObserver((entries) => { for (const { target } of entries) this.#resize(target); });
    for (const plot of plots) resized.observe(plot);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#forget();
      this.draw();
    });
  }

  draw() {
    for (const plot of document.querySelectorAll('[data-chart]')) {
      if (plot.clientWidth > 0) this.#drawOne(plot);
    }
  }

  #drawOne(plot) {
    const { of, stacked } = shown[plot.dataset.chart];
    const { times, lines } = this.#cluster.past(of);
    const key = lines.map((l) => l.id).join();
    const data = [times, ...(stacked ? stack(lines) : lines.map((l) => l.values))];
    plot.dataset.lines = lines.length;
    let drawn = this.#drawn.get(plot);
    if (drawn?.key !== key) {
      drawn?.chart.destroy();
      drawn = { key, said: { lines } }; // of what a tip tells
      drawn.chart = new uPlot(this.#options(plot, lines, stacked, drawn.said), data, plot);
      this.#drawn.set(plot, drawn);
      return;
    }
    drawn.said.lines = lines;
    drawn.chart.setData(data);
  }

  #options(plot, lines, stacked, said) {
    const look = { stroke: css('faint'), font: '11px system-ui, sans-serif', ticks: { show: false }, grid: { stroke: css('grid'), width: 1 } };
    return {
      width: plot.clientWidth, height: HEIGHT, padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 6 }, sync: { key: 'cluster' }, y: false },
      scales: {
        x: { time: false, range: (u) => extent(u.data[0]) },
        y: { range: (_, _min, max) => [0, max > 0 ? max * 1.15 : 1] },
      },
      axes: [
        { ...look, grid: { show: false }, size: 24, splits: (u) => marks(...extent(u.data[0]), u.width), values: (u, at) => at.map((t) => ago(u.data[0].at(-1) - t)) },
        { ...look, size: 46, space: 36, values: (_, s) => s.map(short) },
      ],
      series: [{}, ...lines.map(({ id }) => {
        const stroke = css(series(this.#cluster.colour(id)));
        return { stroke, width: 2, spanGaps: true, points: { show: false }, fill: stacked ? `${stroke}30` : undefined };
      })],
      bands: stacked ? lines.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [],
      plugins: [tip(said)],
    };
  }

  #resize(plot) {
    const drawn = this.#drawn.get(plot);
    if (!drawn) this.draw();
    else if (plot.clientWidth > 0 && plot.clientWidth !== drawn.chart.width) drawn.chart.setSize({ width: plot.clientWidth, height: HEIGHT });
  }

  #forget() {
    for (const { chart } of this.#drawn.values()) chart.destroy();
    this.#drawn.clear();
  }
}

const LEAST = 60; // seconds that are shown however little there is

/** From when to when: all there is, and not the time before. */
const extent = (times) => [Math.min(times[0], times.at(-1) - LEAST), times.at(-1)];

/** The places of the axis's text: at most as many as have room. */
function marks(from, to, width) {
  const room = Math.max(2, Math.floor(width / 90));
  const step = [10, 15, 30, 60, 120].find((s) => (to - from) / s <= room) ?? 150;
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => to - i * step).reverse();
}

const ago = (s) => s < 1 ? 'now' : s % 60 === 0 ? `−${s / 60} min` : `−${s} s`;

const TIPS = 8; // lines of a tip: the highest

/** Shows beside the cursor what each node had there. */
function tip(said) {
  const box = make('div', 'tip');
  box.hidden = true;
  return {
    hooks: {
      init: (u) => u.over.append(box),
      setCursor: (u) => {
        const { idx, left } = u.cursor;
        const there = said.lines.map(({ name, values }, i) => ({ name, value: nearest(values, idx), colour: u.series[i + 1]?.stroke() }));
        const known = there.filter(({ value }) => value != null).sort((a, b) => b.value - a.value);
        box.hidden = left < 0 || known.length === 0;
        if (box.hidden) return;
        box.replaceChildren(...known.slice(0, TIPS).map(line));
        const width = u.over.clientWidth;
        box.style.left = left > width / 2 ? '' : `${left + 12}px`;
        box.style.right = left > width / 2 ? `${width - left + 12}px` : '';
      },
    },
  };
}

function line({ name, value, colour }) {
  const element = make('p');
  const mark = make('span', 'swatch');
  mark.style.background = colour;
  element.append(mark, make('span', 'name', name), make('b', '', number(value)));
  return element;
}

/** The value at i, or at a neighbour: a step may have none. */
const nearest = (values, i) => i == null ? null : values[i] ?? values[i - 1] ?? values[i + 1];

/** Each line on top of those before it. */
function stack(lines) {
  let below = [];
  return lines.map(({ values }) => {
    below = values.map((_, i) => (below[i] ?? 0) + (nearest(values, i) ?? 0));
    return below;
  });
}
