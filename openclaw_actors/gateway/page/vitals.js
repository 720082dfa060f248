// The line about the gateway itself: warm progress, generations, the event loop's gap, what isn't well.

import { byId, clock, el, milliseconds } from "./dom.js";

const POINTS = 60;

export class Vitals {
  constructor() {
    this.gaps = new Array(POINTS).fill(0);
    byId("health").addEventListener("click", () => this.unfold(byId("wrong").hidden));
  }

  // Shows what isn't well, or hides it; tells whether that changes anything.
  unfold(isShown) {
    const changes = byId("wrong").hidden === isShown;
    byId("wrong").hidden = !isShown;
    byId("health").setAttribute("aria-expanded", String(isShown));
    return changes;
  }

  link(state) {
    const text = { live: "live", lost: "no answer: trying again" }[state];
    const pill = byId("link");
    if (pill.textContent !== text) pill.textContent = text;
    pill.className = `pill ${state}`;
  }

  show(vitals) {
    const { agents, published, generation, open } = vitals.progress;
    byId("home").textContent = vitals.home;
    const bar = byId("warm-bar");
    bar.max = Math.max(1, agents);
    bar.value = published;
    const took = vitals.warm_s === null ? "" : ` in ${milliseconds(vitals.warm_s * 1000)}`;
    byId("warm").textContent = `${published} of ${agents} agent${agents === 1 ? "" : "s"}${took}`;
    byId("generation").textContent = open ? `${generation}, ${open} open` : `${generation}`;
    byId("sequence").textContent = `${vitals.sequence}`;
    byId("checks").textContent = vitals.stats.provider_checks.toLocaleString("en");
    this.gap(vitals.loop_gap_ms);
    this.health(vitals);
  }

  gap(gap) {
    byId("gap").textContent = gap === null ? "not measured" : milliseconds(gap);
    this.gaps = [...this.gaps, gap ?? 0].slice(-POINTS);
    const most = Math.max(10, ...this.gaps);
    const points = this.gaps.map((one, place) => `${(place * 60) / (POINTS - 1)} ${(15 - (one / most) * 14).toFixed(2)}`);
    byId("spark").firstElementChild.setAttribute("d", `M${points.join("L")}`);
  }

  health(vitals) {
    const pill = byId("health");
    pill.hidden = false;
    pill.disabled = vitals.ok;
    pill.className = `pill ${vitals.ok ? "live" : "lost"}`;
    const count = vitals.wrong.length;
    pill.textContent = vitals.ok ? "all well" : `${count} thing${count === 1 ? "" : "s"} not well`;
    const key = JSON.stringify(vitals.wrong);
    if (key === this.shown) return;
    this.shown = key;
    byId("wrong").replaceChildren(...vitals.wrong.map((one) =>
      el("li", {}, el("b", {}, one.type), ` since ${clock(one.since)}: `, one.message || one.reason)));
    if (vitals.ok) this.unfold(false);
  }
}
