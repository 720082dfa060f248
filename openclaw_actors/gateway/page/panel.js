// The panel: everything behind one answer, or, while none is chosen, what changed lately.

import { byId, clock, el, fromNow, milliseconds, shape } from "./dom.js";
import { cellPath, getJson, post, Refused } from "./server.js";

const LATEST = 40;
const TOGETHER_MS = 100;

export class Panel {
  constructor(onChoose, onClose) {
    this.root = byId("panel");
    this.onChoose = onChoose;
    this.onClose = onClose;
    this.latest = [];
    this.chosen = null;
    this.asked = 0;
    this.told = ""; // what came of the last button
  }

  async load() {
    this.latest = (await getJson(`changes?limit=${LATEST}`)).changes;
    if (!this.chosen) this.showLatest();
  }

  // Takes a change in: it is news, and may be about what is shown.
  changed(change) {
    this.latest = [change, ...this.latest].slice(0, LATEST);
    const isIt = change.agent === this.chosen?.agent && change.provider === this.chosen?.provider;
    if (this.chosen && !isIt) return;
    // thousands may come at once
    this.waiting ??= setTimeout(() => {
      this.waiting = undefined;
      if (this.chosen) this.refresh();
      else this.showLatest();
    }, TOGETHER_MS);
  }

  open(agent, provider) {
    this.chosen = { agent, provider };
    this.told = "";
    this.root.classList.add("open");
    this.refresh();
  }

  close() {
    if (!this.chosen) return;
    this.chosen = null;
    this.asked += 1;
    this.root.classList.remove("open");
    this.showLatest();
    this.onClose();
  }

  async refresh() {
    const { agent, provider } = this.chosen;
    const number = (this.asked += 1);
    let shown;
    try {
      const query = `changes?agent=${encodeURIComponent(agent)}&provider=${encodeURIComponent(provider)}&limit=${LATEST}`;
      const [why, past] = await Promise.all([getJson(cellPath(agent, provider)), getJson(query)]);
      shown = this.explain(why, past.changes);
    } catch (error) {
      shown = [this.title(agent, provider), el("p", { class: "bad" }, error.message)];
    }
    if (number === this.asked) this.root.replaceChildren(...shown);
  }

  title(agent, provider) {
    const close = el("button", { type: "button", class: "close", title: "Close (Escape)", "aria-label": "Close", onclick: () => this.close() }, "×");
    return el("div", { class: "title" }, el("h2", {}, provider, el("small", {}, ` for ${agent}`)), close);
  }

  explain(why, past) {
    const state = el("p", { class: `state c-${why.state}` }, shape(why.state), el("strong", {}, why.state),
      el("span", {}, why.has_auth ? "can be used" : "can't be used"));
    const parts = [this.title(why.agent, why.provider), state];
    if (why.reason) parts.push(el("p", { class: "reason" }, why.reason));
    if (why.next_step) parts.push(el("p", { class: "next" }, el("b", {}, "Next step "), why.next_step));
    parts.push(this.facts(why), this.actions(why));
    parts.push(el("h3", {}, "Evidence"), why.evidence ? evidence(why.evidence) : el("p", { class: "hint" }, "none"));
    if (why.shadowed.length) {
      parts.push(el("h3", {}, "Shadowed by it, in this order"), ...why.shadowed.map(evidence));
    }
    parts.push(el("h3", {}, "Time line"), timeLine(past));
    return parts;
  }

  facts(why) {
    const rows = [];
    const add = (name, ...text) => rows.push(el("dt", {}, name), el("dd", {}, ...text));
    if (why.valid_until !== null) {
      add("until", moment(why.valid_until), ", then time alone changes the answer");
    }
    add("OpenClaw", `2026.5.22 would say: ${why.presence ? "has auth" : "no auth"}${why.presence_note ? ` (${why.presence_note})` : ""}`);
    add("generation", `${why.generation}, ${why.fresh ? "fresh" : "not fresh: something newer is wanted"}`);
    return el("dl", { class: "facts" }, ...rows);
  }

  actions(why) {
    const told = el("span", { role: "status", class: "hint" }, this.told);
    const button = (text, act) => el("button", {
      type: "button",
      onclick: async (event) => {
        const pressed = event.currentTarget;
        pressed.disabled = true;
        told.textContent = "…";
        try {
          told.textContent = this.told = await act(); // the panel is made anew now
          if (this.chosen) this.refresh();
        } catch (error) {
          told.textContent = error instanceof Refused ? error.message : `the gateway can't be reached (${error.message})`;
        }
        pressed.disabled = false;
      },
    }, text);
    const path = cellPath(why.agent, why.provider);
    const buttons = [button("Look again", async () =>
      (await post(`${path}/recheck?wait=10`)).answered ? "looked again" : "not answered within 10 s; it goes on looking")];
    if (why.evidence?.source === "profile" && ["cooldown", "disabled", "rejected"].includes(why.state)) {
      buttons.push(button("Clear what rests", async () => {
        await post("cooldowns/clear", { profile: why.evidence.id, agent: why.agent });
        return "cleared";
      }));
    }
    return el("p", { class: "actions" }, ...buttons, told);
  }

  showLatest() {
    const entries = this.latest.map((change) => {
      const open = () => this.onChoose(change.agent, change.provider);
      const whose = el("button", { type: "button", class: "link", onclick: open }, `${change.provider} for ${change.agent}`);
      return el("li", {}, whose, step(change));
    });
    const none = el("p", { class: "hint" }, "Nothing has changed since this gateway started. Choose a cell to see why it is as it is.");
    this.root.replaceChildren(el("h2", {}, "Latest changes"), entries.length ? el("ol", { class: "line" }, ...entries) : none);
  }
}

function evidence(one) {
  const about = [one.source, one.kind].filter(Boolean).join(", ");
  const parts = [el("code", {}, one.id), el("span", { class: "hint" }, ` ${about}`)];
  if (one.detail) parts.push(el("div", {}, one.detail));
  if (one.expires_at !== null) parts.push(el("div", {}, one.expires_at > Date.now() / 1000 ? "expires " : "expired ", moment(one.expires_at)));
  return el("div", { class: "evidence" }, ...parts);
}

function moment(at) {
  return el("time", { dateTime: new Date(at * 1000).toISOString(), title: new Date(at * 1000).toISOString() }, fromNow(at));
}

function step(change) {
  const same = change.old === change.new && change.old_evidence !== change.new_evidence;
  const arrow = el("span", { class: "step" }, shape(change.old), " → ", shape(change.new),
    el("span", { class: `c-${change.new}` }, ` ${change.new}`), same ? ` (${change.new_evidence})` : "");
  const cause = `${change.cause}, shown ${milliseconds(change.latency_ms)} after it was seen`;
  return el("div", {}, el("time", { class: "hint", title: new Date(change.published_at * 1000).toISOString() }, clock(change.published_at)),
    " ", arrow, el("div", { class: "hint" }, cause));
}

function timeLine(changes) {
  if (!changes.length) return el("p", { class: "hint" }, "No change since this gateway started.");
  return el("ol", { class: "line" }, ...changes.map((change) => el("li", {}, step(change))));
}
