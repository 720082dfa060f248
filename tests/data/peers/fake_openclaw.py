"""Stands for `openclaw.mjs` in tests. What it does is the word in the file `behaviour` beside it.

Answers the HTTP probes and the RPC on one port, writes log lines like a gateway's, and has the commands that are timed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http import HTTPStatus
from pathlib import Path

BEHAVIOUR = Path(__file__).with_name("behaviour").read_text().strip()
HOME = Path(os.environ["OPENCLAW_STATE_DIR"])
CONFIG = json.loads(Path(os.environ["OPENCLAW_CONFIG_PATH"]).read_text())
STORES = sorted(HOME.glob("agents/*/agent/auth-profiles.json"))
WAS_ASKED = threading.Event()
HAS_CHATTED = threading.Event()


def command(arguments: list[str]) -> int:
    """Run one of the commands that end by themselves."""
    if BEHAVIOUR == "commands-fail":
        print("key dummy-openai-Ab9 is bad", file=sys.stderr)
        return 3
    if BEHAVIOUR == ("doctor-hangs" if arguments[0] == "doctor" else "commands-hang"):
        threading.Event().wait()
    if arguments[0] == "doctor":
        for store in STORES[:1] if BEHAVIOUR == "moves-one" else STORES:
            store.rename(store.with_suffix(".moved"))
        return 0
    if BEHAVIOUR == "no-json":
        print("no models")
        return 0
    count = 1 if BEHAVIOUR == "sees-one" else 40
    print(json.dumps({"auth": {"providers": [{"profiles": {"count": count}}]}}))
    return 0


def answer(text: str) -> list[dict[str, object]]:
    """Return the frames that a request is answered with."""
    frame = json.loads(text)
    number, method, params = frame["id"], frame["method"], frame["params"]
    if method == "connect":
        if params["auth"]["token"] != os.environ["OPENCLAW_GATEWAY_TOKEN"]:
            return [{"type": "res", "id": number, "ok": False, "error": {"code": "X", "message": "wrong token"}}]
        return [{"type": "res", "id": number, "ok": True, "payload": {"type": "hello-ok"}}]
    if BEHAVIOUR == "refuses":
        return [{"type": "res", "id": number, "ok": False, "error": {"code": "UNAVAILABLE", "message": "not now"}}]
    if BEHAVIOUR == "mute":
        return []
    tick: dict[str, object] = {"type": "event", "event": "tick", "payload": {}}
    if method == "models.list":
        models = [] if BEHAVIOUR == "grows" and not HAS_CHATTED.is_set() else [{"id": "a"}, {"id": "b"}]
        return [tick, {"type": "res", "id": number, "ok": True, "payload": {"models": models}}]
    HAS_CHATTED.set()
    run = params["idempotencyKey"]
    chat = {"type": "event", "event": "chat"}
    return [
        {"type": "res", "id": number, "ok": True, "payload": {"runId": run}},
        {**chat, "payload": {"runId": "another", "state": "final"}},
        {**chat, "payload": {"runId": run, "state": "delta"}},
        {**chat, "payload": {"runId": run, "state": "error" if BEHAVIOUR == "chat-fails" else "final"}},
    ]


def gateway(port: int) -> int:
    """Serve until a signal comes."""
    from websockets.sync.server import ServerConnection, serve

    def probe(connection: ServerConnection, request: object) -> object:
        path = request.path  # type: ignore[attr-defined]
        if path == "/healthz":
            WAS_ASKED.set()
        if path in ("/healthz", "/readyz"):
            never = BEHAVIOUR == "never-ready" and path == "/readyz"
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE if never else HTTPStatus.OK, "")
        return None

    def talk(connection: ServerConnection) -> None:
        for text in connection:
            for frame in answer(str(text)):
                connection.send(json.dumps(frame))

    def warm() -> None:
        WAS_ASKED.wait()  # after ready
        if BEHAVIOUR == "crashes-late":
            print(f"boom with dummy-key-Ab9 in {HOME}", flush=True)
            os._exit(7)
        if BEHAVIOUR == "warm-fails":
            print("[gateway] provider auth state pre-warm failed: Error: no", flush=True)
        elif BEHAVIOUR != "never-warm":
            print("[gateway] provider auth state pre-warmed in 1500ms eventLoopMax=20.5ms", flush=True)

    with serve(talk, "127.0.0.1", port, process_request=probe) as server:  # type: ignore[arg-type]
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        threading.Thread(target=warm, daemon=True).start()
        server.serve_forever()
    return 0


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[0] != "gateway":
        sys.exit(command(given))
    if BEHAVIOUR == "crashes":
        sys.exit("cannot start")
    assert CONFIG["gateway"]["port"] == int(given[3])
    sys.exit(gateway(int(given[3])))
