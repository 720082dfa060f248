// The dashboard: puts its parts together. What is shown is in the address, so that it can be passed on.

import { byId, el, shape } from "./dom.js";
import { Grid } from "./grid.js";
import { Matrix } from "./matrix.js";
import { Panel } from "./panel.js";
import { getJson } from "./server.js";
import { follow } from "./stream.js";
import { Vitals } from "./vitals.js";

const FEW_AGENTS = 8; // so few are columns, with words; more are rows
const THEMES = ["auto", "light", "dark"];

const filters = { provider: "", agent: "", states: new Set(), everything: false, swapped: false };
let matrix = null;
let roster = null;
let loading = null;
let heard = null; // changes that come while a matrix is loaded
let drawing = false;

const vitals = new Vitals();
const grid = new Grid(choose);
const panel = new Panel(choose, () => {
  grid.mark();
  grid.focus(false);
  remember();
});

function choose(agent, provider) {
  panel.open(agent, provider);
  grid.mark(agent, provider);
  remember();
}

// ---------------------------------------------------------------------------------------------------------- loading

async function load() {
  heard = [];
  try {
    const made = new Matrix(await getJson("matrix"));
    // what was heard meanwhile may be newer than what was loaded
    const isWhole = heard.map((change) => made.apply(change)).every(Boolean);
    matrix = made;
    show();
    if (!isWhole && loading) loading.again = true;
  } finally {
    heard = null;
  }
}

// Loads anew; calls meanwhile are one more load after it.
function reload() {
  if (loading) {
    loading.again = true;
    return;
  }
  loading = { again: false };
  load()
    .catch((error) => say(error.message))
    .finally(() => {
      const again = loading.again;
      loading = null;
      if (again) setTimeout(reload, 300);
    });
}

function say(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
  byId("scroll").hidden = Boolean(text);
}

// ---------------------------------------------------------------------------------------------------------- showing

// At most once per frame, however much changes.
function show() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (matrix) draw();
  });
}

function draw() {
  const { agents, providers, counted } = matrix.shown(filters);
  drawLegend(matrix.counts(counted.agents, counted.providers));
  const byProvider = matrix.agents.size <= FEW_AGENTS !== filters.swapped;
  if (!matrix.agents.size) return say("No agent is known yet: the config was not read, or can't be.");
  if (!agents.length || !providers.length) return say("Nothing is left by these filters.");
  say("");
  grid.show(matrix, agents, providers, byProvider, filters.states);
  if (panel.chosen) grid.mark(panel.chosen.agent, panel.chosen.provider);
}

function drawLegend(counts) {
  const legend = byId("legend");
  if (legend.childElementCount !== matrix.states.length) {
    legend.replaceChildren(...matrix.states.map((state) => el("button", {
      type: "button", class: "chip", "data-state": state, "aria-pressed": "false",
      onclick: () => {
        if (!filters.states.delete(state)) filters.states.add(state);
        changedFilters();
      },
    }, shape(state), el("span", {}, state), el("b", {}))));
  }
  for (const chip of legend.children) {
    const state = chip.dataset.state;
    chip.lastElementChild.textContent = counts[state].toLocaleString("en");
    chip.setAttribute("aria-pressed", String(filters.states.has(state)));
    chip.classList.toggle("none", !counts[state]);
  }
}

// ---------------------------------------------------------------------------------------------------------- filters

function changedFilters() {
  remember();
  show();
}

function remember() {
  const kept = new URLSearchParams();
  if (filters.provider) kept.set("providers", filters.provider);
  if (filters.agent) kept.set("agents", filters.agent);
  if (filters.states.size) kept.set("states", [...filters.states].join(" "));
  if (filters.everything) kept.set("all", "1");
  if (filters.swapped) kept.set("swap", "1");
  if (panel.chosen) kept.set("cell", `${panel.chosen.agent} ${panel.chosen.provider}`);
  history.replaceState(null, "", `#${kept}`);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  filters.provider = byId("find-provider").value = kept.get("providers") ?? "";
  filters.agent = byId("find-agent").value = kept.get("agents") ?? "";
  filters.states = new Set((kept.get("states") ?? "").split(" ").filter(Boolean));
  filters.everything = byId("everything").checked = kept.has("all");
  filters.swapped = kept.has("swap");
  const [agent, provider] = (kept.get("cell") ?? "").split(" ");
  if (provider) panel.open(agent, provider);
}

function wire() {
  byId("find-provider").addEventListener("input", (event) => {
    filters.provider = event.target.value;
    changedFilters();
  });
  byId("find-agent").addEventListener("input", (event) => {
    filters.agent = event.target.value;
    changedFilters();
  });
  byId("everything").addEventListener("change", (event) => {
    filters.everything = event.target.checked;
    changedFilters();
  });
  byId("flip").addEventListener("click", swap);
  byId("theme").addEventListener("click", nextTheme);
  byId("keys").addEventListener("click", () => byId("keys-dialog").showModal());
  addEventListener("hashchange", () => {
    recall();
    show();
  });
  addEventListener("keydown", key);
}

function swap() {
  filters.swapped = !filters.swapped;
  changedFilters();
}

function key(event) {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" || (event.key === "Enter" && event.target.matches("input[type=search]"))) {
    if (event.target.matches("input")) grid.focus(false);
    else if (!vitals.unfold(false)) panel.close();
    return;
  }
  if (event.target === document.body && /^(Arrow|Home|End|Page)/.test(event.key)) {
    event.preventDefault();
    grid.focus(false);
    return;
  }
  if (event.target.matches("input") || event.ctrlKey || event.altKey || event.metaKey) return;
  const act = {
    "/": () => byId("find-provider").focus(),
    a: () => byId("find-agent").focus(),
    s: swap,
    t: nextTheme,
    "?": () => byId("keys-dialog").showModal(),
  }[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
}

// ----------------------------------------------------------------------------------------------------------- colours

function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
}

function setTheme(name) {
  byId("theme").textContent = `colours: ${name}`;
  document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem("openclaw_actors.theme", name);
  } catch {
    // a browser that keeps nothing shows it all the same
  }
}

function keptTheme() {
  try {
    const kept = localStorage.getItem("openclaw_actors.theme");
    return THEMES.includes(kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

// ------------------------------------------------------------------------------------------------------------ events

function hear(event, data) {
  if (event === "change") {
    panel.changed(data);
    heard?.push(data);
    const isKnown = matrix?.apply(data);
    if (!isKnown || data.cause === "agent-removed" || data.cause === "agent-returned") return reload();
    // what is in use, and what filters leave, follows from the states: one more frame finds out
    grid.changed(data.agent, data.provider);
    flashLater(data);
    show();
  } else if (event === "vitals") {
    vitals.show(data);
    // first answers of an agent are no changes: they are seen by how many there are, also of those that came between
    // the matrix and the stream
    const { agents, published } = data.progress;
    const isOther = roster !== null && data.roster !== roster;
    if (matrix && (isOther || agents !== matrix.agents.size || published !== matrix.published)) reload();
    roster = data.roster;
  } else if (event === "hello" && matrix && data.instance !== matrix.instance) {
    reload();
    panel.load().catch(() => {});
  }
}

function flashLater(change) {
  requestAnimationFrame(() => requestAnimationFrame(() => grid.changed(change.agent, change.provider)));
}

async function begin() {
  setTheme(keptTheme());
  wire();
  recall();
  for (;;) {
    try {
      await load();
      break;
    } catch (error) {
      say(error.message);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  panel.load().catch(() => {});
  follow(() => `${matrix.instance}:${matrix.sequence}`, hear, (state) => vitals.link(state));
}

begin();
