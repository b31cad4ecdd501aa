"""Who may ask the server, and what every answer tells the browser.

Loopback is open to every user of the machine, and, through DNS rebinding, to every web page that
its browser shows. The daemon's socket is open to its group only. So the server wants a key, which
`dualpath ui` prints as part of the address and the page keeps as a cookie, and a Host header that
no other site can have: an address, or localhost.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from secrets import compare_digest
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # the browser refuses innerHTML
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"\[([0-9a-fA-F:.]{2,45})\](?::[0-9]{1,5})?|([^:\[\]]{1,253})(?::[0-9]{1,5})?")


class Guard:
    """Middleware: refuses, or passes on and adds headers."""

    def __init__(self, app: ASGIApp, key: str, cookie: str) -> None:
        self._app = app
        self._key = key
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no websockets, no lifespan
        given = self._given(scope)

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if given:
                    attributes = "Path=/; HttpOnly; SameSite=Strict"
                    headers["Set-Cookie"] = f"{self._cookie}={self._key}; {attributes}"
            await send(message)

        refused = self._refusal(Headers(scope=scope), given=given)
        await (refused or self._app)(scope, receive, add)

    def _given(self, scope: Scope) -> bool:
        """Return whether the address of the page has the key."""
        try:
            query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=10)
        except ValueError:  # more fields than that
            return False
        return scope["path"] == "/" and self._is_key(query.get("key", [""])[0])

    def _refusal(self, headers: Headers, *, given: bool) -> PlainTextResponse | None:
        if len(headers.getlist("host")) != 1 or not is_own_host(headers["host"]):
            text = "use an IP address or localhost as the host of this page's address"
            return PlainTextResponse(f"{text}\n", 421)
        if not given and not self._is_key(cookies(headers).get(self._cookie, "")):
            text = "open the whole address that `dualpath ui` printed: it has a key"
            return PlainTextResponse(f"{text}\n", 401)
        return None

    def _is_key(self, text: str) -> bool:
        return compare_digest(text.encode(), self._key.encode())


def is_own_host(host: str) -> bool:
    """Return whether a Host header can be of no foreign site: an address, or localhost.

    The port is any, so that `ssh -L` works.
    """
    match = _HOST.fullmatch(host)
    if not match:
        return False
    if match[2] and match[2].lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(match[1] or match[2])
    except ValueError:
        return False
    return True


def cookies(headers: Headers) -> Mapping[str, str]:
    try:
        return {name: it.value for name, it in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}
