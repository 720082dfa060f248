// The same as foreign_writer.py in the language of OpenClaw: see there. Knows nothing of this package.
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const STALE_MS = 30_000;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function isStale(file) {
  let text, modified;
  try {
    text = fs.readFileSync(file, "utf8");
    modified = fs.statSync(file).mtimeMs;
  } catch {
    return false;
  }
  let created, pid;
  try {
    ({ createdAt: created, pid } = JSON.parse(text));
    created = Date.parse(created);
  } catch {
    return Date.now() - modified > STALE_MS;
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code === "ESRCH") return true;
  }
  return Date.now() - created > STALE_MS;
}

async function lock(file) {
  const text = JSON.stringify({ pid: process.pid, createdAt: new Date().toISOString() }, null, 2) + "\n";
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    try {
      const descriptor = fs.openSync(file, "wx", 0o600);
      fs.writeSync(descriptor, text);
      const { dev, ino } = fs.fstatSync(descriptor);
      fs.closeSync(descriptor);
      return { dev, ino, text };
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      if (isStale(file)) fs.rmSync(file, { force: true });
      else await sleep(pause * (1 + Math.random()));
    }
  }
}

function unlock(file, held) {
  try {
    const { dev, ino } = fs.statSync(file);
    if (dev === held.dev && ino === held.ino && fs.readFileSync(file, "utf8") === held.text) fs.unlinkSync(file);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}

function write(file, document) {
  const temporary = `${file}.${randomUUID()}.tmp`;
  const descriptor = fs.openSync(temporary, "wx", 0o600);
  fs.writeSync(descriptor, JSON.stringify(document, null, 2) + "\n");
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
  fs.renameSync(temporary, file);
}

const [agentDir, times, profile] = process.argv.slice(2);
const state = path.join(agentDir, "auth-state.json");
const lockFile = path.join(agentDir, "auth-profiles.json.lock");
console.log("ready");
for (let done = 0; done < Number(times); done += 1) {
  const held = await lock(lockFile);
  try {
    let document = { version: 1 };
    try {
      document = JSON.parse(fs.readFileSync(state, "utf8"));
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
    document.usageStats ??= {};
    for (const name of [profile, "shared"]) {
      const entry = (document.usageStats[name] ??= {});
      entry.errorCount = (entry.errorCount ?? 0) + 1;
    }
    write(state, document);
  } finally {
    unlock(lockFile, held);
  }
}
