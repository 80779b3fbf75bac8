// Draws the charts of a report: each <figure data-chart> in the page, from the
// result that the page holds as JSON. Field names are those of bench.Result.
'use strict';
(() => {
  const result = JSON.parse(document.getElementById('result').textContent);
  const seconds = result.timeline ?? [];
  const times = seconds.map((s) => s.at);

  // ---- Text -----------------------------------------------------------------
  /** Three digits that say something, or all before the point, as the page's own numbers. */
  const number = (x) => x == null ? '–' : x.toLocaleString('en', Math.abs(x) < 1000 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 });
  /** Short, for axes: 12k, 1.5M. */
  const short = (x) => x == null ? '' : x.toLocaleString('en', { notation: 'compact', maximumSignificantDigits: 3 });
  /** Seconds as 45 s or 2:05. */
  const clock = (s) => s == null ? '–' : s < 60 ? `${number(s)} s` : `${Math.floor(s / 60)}:${String(Math.round(s) % 60).padStart(2, '0')}`;
  const unit = (name) => (x) => x == null ? '–' : `${number(x)} ${name}`;

  // ---- Colours ---------------------------------------------------------------
  /** A colour of report.css, as it is in the present light or dark. */
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // ---- Parts of charts --------------------------------------------------------
  const column = (key) => seconds.map((s) => s[key]);
  /** A column in which 0 stands for no measurement. */
  const measured = (key) => seconds.map((s) => s[key] || null);

  function line(label, tint, more = {}) {
    const stroke = colour(tint);
    return { label, stroke, width: 2, points: { show: times.length < 3, size: 6, fill: stroke }, value: (_, x) => number(x), ...more };
  }
  const area = (label, tint, more) => line(label, tint, { fill: `${colour(tint)}26`, ...more });

  const look = () => ({ stroke: colour('faint'), font: '12px system-ui, sans-serif', ticks: { show: false }, grid: { stroke: colour('grid'), width: 1 } });
  const across = () => ({ ...look(), grid: { show: false }, size: 28, space: 52, values: (_, splits) => splits.map((s) => s == null ? '' : clock(s)) });
  const up = (more = {}) => ({ ...look(), size: 52, values: (_, splits) => splits.map(short), ...more });
  /** A second vertical axis, on the right, in the colour of its line. */
  const right = (scale, tint, more = {}) => up({ scale, side: 1, stroke: colour(tint), grid: { show: false }, ...more });

  /** From zero, with air above; more of it keeps two lines apart. */
  const fromZero = (air = 1.1) => ({ range: (_, _min, max) => [0, max > 0 ? max * air : 1] });
  const whole = (_, splits) => splits.map((x) => Number.isInteger(x) ? short(x) : '');

  /** Whole decades around what there is. */
  const decades = {
    distr: 3,
    range: (_, min, max) => min == null ? [0.1, 10] : [10 ** Math.floor(Math.log10(min)), 10 ** Math.ceil(Math.log10(max * 1.02))],
  };
  const powers = (_, splits) => splits.map((x) => x && Math.abs(Math.log10(x) % 1) < 1e-9 ? number(x) : '');
  const milliseconds = () => up({ values: powers, grid: { stroke: colour('grid'), width: 1, filter: (_, splits) => splits.map((x) => x && Math.abs(Math.log10(x) % 1) < 1e-9 ? x : null) } });

  /** The phases, each with the time from and to which it went. */
  const phases = [];
  for (const { at, phase } of seconds) {
    if (phases.at(-1)?.phase !== phase) phases.push({ phase, from: phases.at(-1)?.to ?? 0 });
    phases.at(-1).to = at;
  }

  /** Marks where each phase begins and, where there is room, its name. */
  function drawPhases(u) {
    const { ctx, bbox } = u;
    const scale = devicePixelRatio;
    const pixel = (time) => u.valToPos(Math.max(time, u.scales.x.min), 'x', true);
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour('faint');
    ctx.font = `${11 * scale}px system-ui, sans-serif`;
    ctx.textBaseline = 'top';
    ctx.textAlign = 'center';
    ctx.setLineDash([3 * scale, 4 * scale]);
    for (const { phase, from, to } of phases) {
      const [left, right] = [pixel(from), pixel(to)];
      if (left > bbox.left) {
        ctx.globalAlpha = 0.5;
        ctx.beginPath();
        ctx.moveTo(left, bbox.top);
        ctx.lineTo(left, bbox.top + bbox.height);
        ctx.stroke();
      }
      ctx.globalAlpha = 1;
      if (ctx.measureText(phase).width + 6 * scale < right - left) ctx.fillText(phase, (left + right) / 2, bbox.top - 13 * scale);
    }
    ctx.restore();
  }

  const overTime = (series, data, axes, scales) => ({
    data: [times, ...data],
    options: {
      scales: { x: { time: false }, ...scales },
      axes: [across(), ...axes],
      series: [{ label: 'time', value: (_, x) => clock(x) }, ...series],
      cursor: { sync: { key: 'time' } },
      hooks: { drawClear: [drawPhases] },
    },
  });

  // ---- The charts --------------------------------------------------------------
  const percentiles = [['p50', 'p50_ms'], ['p90', 'p90_ms'], ['p99', 'p99_ms'], ['p99.9', 'p999_ms'], ['max', 'max_ms']];

  const charts = {
    connections: () => overTime(
      [area('connected', 'blue'), line('connects/s', 'orange', { scale: 'connects' })],
      [column('connected'), column('connects')],
      [up(), right('connects', 'orange', { values: whole })],
      { y: fromZero(), connects: fromZero(1.8) }),

    latency: () => overTime(
      percentiles.map(([label], i) => line(label, `rank-${i + 1}`, { value: (_, x) => unit('ms')(x) })),
      percentiles.map(([, key]) => measured(key)),
      [milliseconds()],
      { y: decades }),

    rates: () => overTime(
      [area('deliveries/s', 'green'), line('publishes/s', 'violet', { scale: 'publishes' })],
      [column('deliveries'), column('published')],
      [up(), right('publishes', 'violet')],
      { y: fromZero(), publishes: fromZero(1.4) }),

    server: () => overTime(
      [area('cores', 'orange'), line('memory', 'blue', { scale: 'memory', value: (_, x) => unit('MiB')(x) })],
      [column('server_cpu'), measured('server_mib')],
      [up(), right('memory', 'blue', { size: 64, values: (_, splits) => splits.map((x) => `${short(x)} MiB`) })],
      { y: fromZero(), memory: fromZero(1.4) }),

    trouble: () => overTime(
      [area('missing', 'orange'), line('errors/s', 'red', { scale: 'errors' })],
      [column('missing'), column('errors')],
      [up({ values: whole }), right('errors', 'red', { values: whole })],
      { y: fromZero(), errors: fromZero(1.4) }),

    distribution,
  };

  /** Latency by percentile. Each further nine takes the same width: x is log10 of 1/(1-share). */
  function distribution() {
    const curves = [
      ['delivery', 'green', result.delivery.latency],
      ['publish', 'violet', result.publish.latency],
      ['resume', 'orange', result.resume],
    ].filter(([, , latency]) => latency.curve?.length);
    const tables = curves.map(([, , { count, curve }]) => {
      const last = Math.log10(Math.max(count, 10)); // where 100 % stands: one in all
      const points = curve.filter((q) => q.ms > 0).map((q) => [q.percent < 100 ? Math.min(last, -Math.log10(1 - q.percent / 100)) : last, q.ms]);
      const distinct = [...new Map(points)].sort((a, b) => a[0] - b[0]);
      return [distinct.map((p) => p[0]), distinct.map((p) => p[1])];
    });
    const nines = (x) => Math.abs(x % 1) > 1e-9 ? '' : x === 0 ? '0%' : `${(100 * (1 - 10 ** -x)).toFixed(Math.max(0, x - 2))}%`;
    const share = (x) => x == null ? '–' : `${(100 * (1 - 10 ** -x)).toFixed(Math.max(1, Math.ceil(x) - 1))}%`;
    return {
      data: uPlot.join(tables),
      options: {
        scales: { x: { time: false, range: (_, _min, max) => [0, Math.max(max + 0.2, 2)] }, y: decades },
        axes: [{ ...across(), grid: { stroke: colour('grid'), width: 1 }, space: 58, incrs: [1, 2], values: (_, splits) => splits.map(nines) }, milliseconds()],
        series: [
          { label: 'share', value: (_, x) => share(x) },
          ...curves.map(([label, tint]) => line(label, tint, { spanGaps: true, points: { show: false }, value: (_, x) => unit('ms')(x) })),
        ],
        // The nearest point of each line: their points differ.
        cursor: { dataIdx: (u, series, i) => series === 0 ? i : nearest(u.data[series], i) },
      },
    };
  }

  /** The index nearest to i at which values has one. */
  function nearest(values, i) {
    for (let d = 0; d < values.length; d++) {
      if (values[i - d] != null) return i - d;
      if (values[i + d] != null) return i + d;
    }
    return i;
  }

  // ---- Drawing -------------------------------------------------------------------
  const height = (width) => Math.round(Math.min(300, Math.max(200, width * 0.5)));

  function draw(plot, make) {
    const { data, options } = make();
    const width = plot.clientWidth;
    return new uPlot({
      width, height: height(width), padding: [18, 12, 0, 0],
      legend: { markers: { width: 0, fill: (u, i) => u.series[i].stroke(u, i) } },
      ...options,
      cursor: { drag: { x: false, y: false }, points: { size: 7 }, ...options.cursor },
    }, data, plot);
  }

  const drawn = new Map(); // element → uPlot
  function drawAll() {
    for (const figure of document.querySelectorAll('[data-chart]')) {
      const plot = figure.querySelector('.plot');
      drawn.get(plot)?.destroy();
      drawn.set(plot, draw(plot, charts[figure.dataset.chart]));
    }
  }

  drawAll();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const width = target.clientWidth;
      const chart = drawn.get(target);
      if (width > 0 && width !== chart.width) chart.setSize({ width, height: height(width) });
    }
  });
  for (const plot of drawn.keys()) resized.observe(plot);
})();
