// The reports of the nodes, now and in the last minutes.

export const WINDOW = 300; // seconds that charts show

/** The nodes, by ID, and their past in steps of the interval. */
export class Cluster {
  nodes = new Map(); // ID → {report, heard, step}; one of reset has no step
  interval = 2; // seconds
  #lifetime = 6; // seconds
  #past = new Map(); // ID → Map of step → report
  #colours = new Map(); // ID → number
  #newest = 0; // step

  /** Takes the answer of /v1/nodes: what is not in it is gone. */
  reset({ nodes, interval_ms, lifetime_ms }) {
    this.interval = interval_ms / 1000;
    this.#lifetime = lifetime_ms / 1000;
    this.nodes.clear();
    for (const report of nodes) this.nodes.set(report.id, { report, heard: performance.now() });
  }

  /** Takes one report, said at time by the clock that all share. */
  add(report, time) {
    const step = Math.floor(Date.parse(time) / 1000 / this.interval);
    this.#newest = Math.max(this.#newest, step);
    if (!this.#past.has(report.id)) this.#past.set(report.id, new Map());
    this.#past.get(report.id).set(step, report);
    this.nodes.set(report.id, { report, heard: performance.now(), step });
  }

  remove(id) { this.nodes.delete(id); }

  /** Forgets nodes that say nothing more, and what is too old to be shown. */
  tidy() {
    const oldest = this.#newest - this.#lifetime / this.interval;
    for (const [id, { heard, step }] of this.nodes) {
      if (step < oldest || performance.now() - heard > 1000 * this.#lifetime) this.nodes.delete(id);
    }
    const first = this.#newest - WINDOW / this.interval;
    for (const [id, steps] of this.#past) {
      for (const step of steps.keys()) if (step < first) steps.delete(step);
      if (steps.size === 0) this.#past.delete(id);
    }
    for (const id of this.#colours.keys()) if (!this.nodes.has(id) && !this.#past.has(id)) this.#colours.delete(id);
  }

  /** Which of the colours is a node's: the first that no other has. */
  colour(id) {
    if (!this.#colours.has(id)) {
      const taken = new Set(this.#colours.values());
      let free = 0;
      while (taken.has(free)) free++;
      this.#colours.set(id, free);
    }
    return this.#colours.get(id);
  }

  /** Reports of the present, by name. */
  now() {
    return [...this.nodes.values()].map((n) => n.report).sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }) || (a.id < b.id ? -1 : 1));
  }

  /** Seconds, and for each node that said something in them {id, name, values}. */
  past(valueOf) {
    const first = Math.min(this.#newest, ...[...this.#past.values()].map((reports) => Math.min(...reports.keys())));
    const steps = Array.from({ length: this.#newest - first + 1 }, (_, i) => first + i);
    const lines = [...this.#past].map(([id, reports]) => ({
      id,
      name: reports.values().next().value.name,
      values: steps.map((step) => reports.has(step) ? valueOf(reports.get(step)) ?? null : null),
    }));
    lines.sort((a, b) => this.colour(a.id) - this.colour(b.id));
    return { times: steps.map((step) => step * this.interval), lines };
  }
}
