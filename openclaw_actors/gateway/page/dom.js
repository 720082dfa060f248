// Making elements. Text goes in as text: nothing that a home holds is ever read as markup.

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
const shapes = new Map();

// The shape of a state; colour is never the only difference.
export function shape(state) {
  let known = shapes.get(state);
  if (!known) {
    known = document.createElementNS(SVG, "svg");
    known.setAttribute("class", `shape c-${state}`);
    known.setAttribute("viewBox", "0 0 16 16");
    known.setAttribute("aria-hidden", "true");
    // copies rather than <use>: that makes a shadow tree for each cell
    const drawn = document.getElementById(`s-${state}`) ?? document.getElementById("s-unknown");
    known.append(...drawn.cloneNode(true).childNodes);
    shapes.set(state, known);
  }
  return known.cloneNode(true);
}

export const byId = (id) => document.getElementById(id);

const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const STEPS = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];

// "in 3 hours", "2 minutes ago"; epoch seconds in.
export function fromNow(at, now = Date.now() / 1000) {
  const left = at - now;
  for (const [unit, seconds] of STEPS) {
    if (Math.abs(left) >= seconds) return relative.format(Math.trunc(left / seconds), unit);
  }
  return relative.format(Math.trunc(left), "second");
}

export function clock(at) {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString("en-GB") : date.toLocaleString("en-GB");
}

export function milliseconds(value) {
  if (value === null || value === undefined) return "";
  if (value >= 1000) return `${(value / 1000).toFixed(value < 10000 ? 1 : 0)} s`;
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}
