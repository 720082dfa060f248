// Server-Sent Events by fetch rather than EventSource, which can send no token.

import { ask } from "./server.js";

const FIRST_MS = 500;
const MOST_MS = 15000;
const SILENT_MS = 5000; // vitals come each second: a connection that says nothing for so long is dead

// Calls on(event, data, id) for each event, and state("live" | "lost"); goes on for ever from the last id it saw.
export async function follow(since, on, state) {
  let last = since;
  let pause = FIRST_MS;
  for (;;) {
    const gone = new AbortController();
    let watchdog = setTimeout(() => gone.abort(), SILENT_MS);
    try {
      const answer = await ask("events?vitals=1", { headers: { "last-event-id": last() }, signal: gone.signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => gone.abort(), SILENT_MS);
        state("live");
        pause = FIRST_MS;
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const text of events) tell(text, on);
      }
    } catch {
      // a gateway that restarts is asked again below
    }
    clearTimeout(watchdog);
    state("lost");
    await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
    pause = Math.min(pause * 2, MOST_MS);
  }
}

function tell(text, on) {
  let event = "message", data = "", id = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("data: ")) data += line.slice(6);
    else if (line.startsWith("event: ")) event = line.slice(7);
    else if (line.startsWith("id: ")) id = line.slice(4);
  }
  if (data) on(event, JSON.parse(data), id);
}
