// The grid: only the rows that can be seen are in the page, so that thousands of agents cost no more than fifty.

import { byId, el, shape } from "./dom.js";

const AROUND = 12; // rows that are made beyond what can be seen
const FEW = 8; // so many columns have room for words

export class Grid {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.scroll = byId("scroll");
    this.table = byId("grid");
    this.head = this.table.tHead;
    this.body = this.table.tBodies[0];
    this.rows = [];
    this.columns = [];
    this.made = new Map();
    this.patterns = new Map();
    this.at = { row: 0, column: 0 };
    this.first = this.last = -1;
    this.scroll.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(this.scroll);
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.table.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("focusin", (event) => {
      const cell = event.target.closest("td[data-row]");
      if (cell) this.at = { row: Number(cell.dataset.row), column: Number(cell.dataset.column) };
    });
  }

  // Shows a matrix. `byProvider` has a row per provider, otherwise per agent.
  show(matrix, agents, providers, byProvider, states) {
    const view = JSON.stringify([byProvider, [...states], providers, agents]);
    if (matrix === this.matrix && view === this.view) return; // cells that changed are shown already
    this.view = view;
    const held = this.names(this.at.row, this.at.column);
    const isNew = this.byProvider !== byProvider;
    this.matrix = matrix;
    this.byProvider = byProvider;
    this.states = states;
    [this.rows, this.columns] = byProvider ? [providers, agents] : [agents, providers];
    this.isWordy = this.columns.length <= FEW;
    this.patterns = new Map();
    this.table.classList.toggle("wordy", this.isWordy);
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.table.setAttribute("aria-colcount", this.columns.length + 1);
    this.at = this.placeOf(held?.agent, held?.provider) ?? {
      row: Math.min(this.at.row, Math.max(0, this.rows.length - 1)),
      column: Math.min(this.at.column, Math.max(0, this.columns.length - 1)),
    };
    this.showHead();
    if (isNew) this.scroll.scrollTo(0, 0);
    this.first = -1;
    this.draw();
  }

  names(row, column) {
    const [one, other] = [this.rows[row], this.columns[column]];
    if (one === undefined || other === undefined) return null;
    return this.byProvider ? { agent: other, provider: one } : { agent: one, provider: other };
  }

  placeOf(agent, provider) {
    const [one, other] = this.byProvider ? [provider, agent] : [agent, provider];
    const row = this.rows.indexOf(one), column = this.columns.indexOf(other);
    return row < 0 || column < 0 ? null : { row, column };
  }

  showHead() {
    // widths are said rather than found out: finding them out means looking at every cell
    const longest = this.rows.reduce((most, name) => Math.max(most, name.length), 8);
    this.table.style.setProperty("--names", `${longest}ch`);
    this.table.style.setProperty("--columns", this.columns.length);
    const corner = this.byProvider ? "provider" : "agent";
    const cells = this.columns.map((name, column) =>
      el("th", { scope: "col", "aria-colindex": column + 2, title: name }, el("span", {}, name)));
    this.head.replaceChildren(el("tr", { "aria-rowindex": 1 }, el("th", { scope: "col", class: "corner", "aria-colindex": 1 }, corner), ...cells));
  }

  later() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.draw();
    });
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(this.table).getPropertyValue("--row"));
  }

  // Makes the rows that can be seen, unless they are there.
  draw() {
    if (!this.matrix) return;
    const height = this.rowHeight;
    const from = Math.floor(this.scroll.scrollTop / height);
    const to = Math.min(this.rows.length, from + Math.ceil(this.scroll.clientHeight / height) + 1);
    if (this.first >= 0 && from >= this.first && to <= this.last) return;
    const isNew = this.first < 0;
    this.first = Math.max(0, from - AROUND);
    this.last = Math.min(this.rows.length, to + AROUND);
    const hadFocus = this.body.contains(document.activeElement);
    if (isNew) {
      this.made = new Map();
      this.body.replaceChildren(this.gap(), this.gap());
    }
    for (const [row, element] of this.made) {
      if (row >= this.first && row < this.last) continue;
      element.remove();
      this.made.delete(row);
    }
    let before = this.body.firstElementChild;
    for (let row = this.first; row < this.last; row += 1) {
      if (!this.made.has(row)) {
        this.made.set(row, this.row(row));
        before.after(this.made.get(row));
      }
      before = this.made.get(row);
    }
    this.body.firstElementChild.style.height = `${this.first * height}px`;
    this.body.lastElementChild.style.height = `${(this.rows.length - this.last) * height}px`;
    if (hadFocus && !this.body.contains(document.activeElement)) this.focus(false);
  }

  gap() {
    return el("tr", { class: "gap", "aria-hidden": "true" }, el("td", { colSpan: this.columns.length + 1 }));
  }

  row(row) {
    const name = this.rows[row];
    const made = el("tr", { "aria-rowindex": row + 2 }, el("th", { scope: "row", "aria-colindex": 1, title: name }, name));
    for (let column = 0; column < this.columns.length; column += 1) made.append(this.cell(row, column));
    return made;
  }

  cell(row, column) {
    const { agent, provider } = this.names(row, column);
    const made = this.pattern(this.matrix.state(agent, provider)).cloneNode(true);
    made.setAttribute("aria-colindex", column + 2);
    made.dataset.row = row;
    made.dataset.column = column;
    this.name(made, agent, provider);
    if (row === this.at.row && column === this.at.column) made.tabIndex = 0;
    return made;
  }

  // A cell in some state; all others in it are copies.
  pattern(state) {
    let known = this.patterns.get(state);
    if (!known) {
      known = el("td", { role: "gridcell", tabIndex: -1, "data-state": state, class: this.isDim(state) && "dim" }, shape(state));
      if (this.isWordy) known.append(el("span", { class: `word c-${state}` }, state === "nothing" ? "" : state));
      this.patterns.set(state, known);
    }
    return known;
  }

  isDim(state) {
    return this.states.size > 0 && !this.states.has(state);
  }

  name(cell, agent, provider) {
    const state = cell.dataset.state;
    cell.title = `${agent}, ${provider}: ${state === "nothing" ? "not known yet" : state}`;
    cell.setAttribute("aria-label", cell.title);
  }

  find(agent, provider) {
    const place = this.placeOf(agent, provider);
    return place && this.body.querySelector(`td[data-row="${place.row}"][data-column="${place.column}"]`);
  }

  // Shows a changed cell as it is now, if it is in the page.
  changed(agent, provider) {
    const cell = this.find(agent, provider);
    if (!cell) return;
    const state = this.matrix.state(agent, provider);
    const now = this.pattern(state);
    cell.dataset.state = state;
    cell.className = now.className;
    cell.replaceChildren(...now.cloneNode(true).childNodes);
    this.name(cell, agent, provider);
    cell.classList.add("flash");
    setTimeout(() => cell.classList.remove("flash"), 1600);
  }

  mark(agent, provider) {
    for (const old of this.body.querySelectorAll("td[aria-selected]")) old.removeAttribute("aria-selected");
    this.find(agent, provider)?.setAttribute("aria-selected", "true");
  }

  focus(moves = true) {
    const { row, column } = this.at;
    if (moves) this.bringIntoView(row);
    for (const old of this.body.querySelectorAll('td[tabindex="0"]')) old.tabIndex = -1;
    const cell = this.body.querySelector(`td[data-row="${row}"][data-column="${column}"]`);
    if (!cell) return;
    cell.tabIndex = 0;
    cell.focus({ preventScroll: !moves });
    if (moves) this.bringColumnIntoView(cell);
  }

  bringIntoView(row) {
    const height = this.rowHeight;
    const room = this.scroll.clientHeight - this.head.offsetHeight;
    const top = row * height;
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    else if (top + height > this.scroll.scrollTop + room) this.scroll.scrollTop = top + height - room;
    this.draw();
  }

  bringColumnIntoView(cell) {
    const left = this.head.querySelector(".corner").offsetWidth;
    const view = this.scroll.getBoundingClientRect(), box = cell.getBoundingClientRect();
    if (box.left < view.left + left) this.scroll.scrollLeft -= view.left + left - box.left;
    else if (box.right > view.right) this.scroll.scrollLeft += box.right - view.right + 2;
  }

  clicked(event) {
    const cell = event.target.closest("td[data-row]");
    if (!cell) return;
    this.at = { row: Number(cell.dataset.row), column: Number(cell.dataset.column) };
    this.focus(false);
    const { agent, provider } = this.names(this.at.row, this.at.column);
    this.onOpen(agent, provider);
  }

  key(event) {
    if (event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.scroll.clientHeight / this.rowHeight) - 3);
    const { row, column } = this.at;
    const last = { row: this.rows.length - 1, column: this.columns.length - 1 };
    const wanted = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      PageUp: [row - page, column], PageDown: [row + page, column],
      Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? last.row : row, last.column],
    }[event.key];
    if (wanted) {
      event.preventDefault();
      const within = (value, most) => Math.max(0, Math.min(value, most));
      this.at = { row: within(wanted[0], last.row), column: within(wanted[1], last.column) };
      this.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const names = this.names(row, column);
      if (names) this.onOpen(names.agent, names.provider);
    }
  }
}
