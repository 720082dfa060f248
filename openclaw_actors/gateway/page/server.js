// Asking the gateway. Addresses are relative, so that the page works wherever the gateway is mounted.

import { byId } from "./dom.js";

const base = new URL("./", document.baseURI);
const KEPT = "openclaw_actors.token";

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

function headers(more = {}) {
  const token = sessionStorage.getItem(KEPT);
  return token ? { ...more, authorization: `Bearer ${token}` } : more;
}

let asking = null;

// One dialog at a time, whoever needs a token.
function askForToken(why) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    byId("token-why").textContent = why;
    byId("token").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      asking = null;
      const given = byId("token").value.trim();
      byId("token").value = "";
      const isGiven = dialog.returnValue === "ok" && given !== "";
      if (isGiven) sessionStorage.setItem(KEPT, given);
      resolve(isGiven);
    }, { once: true });
  });
  return asking;
}

export async function ask(path, options = {}) {
  for (;;) {
    const answer = await fetch(new URL(path, base), { ...options, headers: headers(options.headers) });
    if (answer.ok) return answer;
    let text = `${answer.status} ${answer.statusText}`;
    try {
      const problem = await answer.json();
      text = problem.detail || problem.title || text;
    } catch {
      // not a problem+json: the status line says enough
    }
    if (answer.status === 401 && sessionStorage.getItem(KEPT)) {
      // of a gateway that has other tokens by now: perhaps this needs none
      sessionStorage.removeItem(KEPT);
      continue;
    }
    if ((answer.status !== 401 && answer.status !== 403) || !(await askForToken(text))) {
      throw new Refused(answer.status, text);
    }
  }
}

export const getJson = async (path) => (await ask(path)).json();

export async function post(path, body = {}) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return (await ask(path, options)).json();
}

export const cellPath = (agent, provider) => `auth/${encodeURIComponent(agent)}/${encodeURIComponent(provider)}`;
