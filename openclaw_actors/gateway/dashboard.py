"""`GET /`: the dashboard, a page whose files are beside this module in `page/` and are read once."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_actors.gateway.answers import etag_of, tagged

PAGE_FILES = "/page/"
"""Where the page's files are; they hold no answers, so nobody needs a token for them."""

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_HEADERS = {
    # nothing comes from elsewhere, nothing is sent elsewhere, no script is in the page itself, nobody frames it
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


class Dashboard:
    """The page's files, in memory. Reads them when it is made."""

    def __init__(self) -> None:
        folder = files("openclaw_actors.gateway") / "page"
        self._files = {one.name: one.read_bytes() for one in folder.iterdir() if one.name.split(".")[-1] in _TYPES}
        digest = hashlib.blake2b(digest_size=9)
        for name in sorted(self._files):
            digest.update(self._files[name])
        self._version = digest.hexdigest()

    def routes(self) -> list[Route]:
        """Return the routes of the files; the page itself is answered by `page`."""
        return [Route(PAGE_FILES + "{name}", self.file, methods=["GET"])]

    async def page(self, request: Request) -> Response:
        """Answer with the page."""
        return self._answer(request, "index.html")

    async def file(self, request: Request) -> Response:
        """Answer with one of its files."""
        name = request.path_params["name"]
        return self._answer(request, name) if name in self._files else Response(status_code=404)

    def _answer(self, request: Request, name: str) -> Response:
        media_type = _TYPES[name.rpartition(".")[2]]
        response = tagged(request, lambda: self._files[name], etag_of(self._version, name), media_type)
        response.headers.update(_HEADERS)
        return response


def wants_page(request: Request) -> bool:
    """Tell whether it is a browser that asks, rather than a program."""
    return "text/html" in request.headers.get("accept", "")
