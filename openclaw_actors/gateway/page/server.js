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

function withToken(more, token) {
  return token ? { ...more, authorization: `Bearer ${token}` } : more;
}

let asking = null;

// One dialog at a time, whoever needs a token. Gives the token; nothing if a person gives none.
function askForToken(why) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    byId("token-why").textContent = why;
    byId("token").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      asking = null;
      // a whole line of the token file is meant as its token
      const given = byId("token").value.trim().split(/\s+/).pop();
      byId("token").value = "";
      resolve(dialog.returnValue === "ok" ? given : "");
    }, { once: true });
  });
  return asking;
}

const SENDABLE = /^[\x21-\x7e]+$/;

export async function ask(path, options = {}) {
  let token = sessionStorage.getItem(KEPT);
  for (;;) {
    const answer = await fetch(new URL(path, base), { ...options, headers: withToken(options.headers, token) });
    if (answer.ok) {
      // kept when it is good for something
      if (token) sessionStorage.setItem(KEPT, token);
      return answer;
    }
    let text = `${answer.status} ${answer.statusText}`;
    try {
      const problem = await answer.json();
      text = problem.detail || problem.title || text;
    } catch {
      // not a problem+json: the status line says enough
    }
    if (answer.status !== 401 && answer.status !== 403) throw new Refused(answer.status, text);
    if (answer.status === 401 && token && token === sessionStorage.getItem(KEPT)) {
      // of a gateway that has other tokens by now: perhaps this needs none
      sessionStorage.removeItem(KEPT);
      token = null;
      continue;
    }
    do {
      token = await askForToken(text);
      if (!token) throw new Refused(answer.status, text);
      text = "A token is plain letters, digits and signs.";
    } while (!SENDABLE.test(token));
  }
}

export const getJson = async (path) => (await ask(path)).json();

export async function post(path, body = {}) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return (await ask(path, options)).json();
}

export const cellPath = (agent, provider) => `auth/${encodeURIComponent(agent)}/${encodeURIComponent(provider)}`;
