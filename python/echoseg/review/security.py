"""Who may talk to the review page: one browser, on this machine, that was given the link.

Every request is checked before the page's own code sees it: the Host it names (against DNS rebinding), the Origin it
comes from (against other pages' scripts), the session's cookie, the method, and the size of what it sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

ENTER = "/enter"
LARGEST_BODY = 1 << 18  # bytes; a correction has a few thousand
_PATIENCE = 1.0  # s, for the body of a refused request

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
}
# A page of our own that goes on: the cookie is SameSite=Strict, and a redirect of a click elsewhere would not bring it.
_WELCOME = (
    b'<!doctype html><html lang="en"><title>echoseg review</title><link rel="icon" href="data:,">'
    b'<meta http-equiv="refresh" content="0;url=/">'
    b'<a href="/">Go on to the review page</a></html>'
)


class Guard:
    """An ASGI application in front of another."""

    def __init__(self, app: Any, *, host: str, port: int, announce: Callable[[str], None]) -> None:
        """Stand in front of an application.

        Args:
            app: that is guarded.
            host: address that is listened on.
            port: likewise.
            announce: is told each link; one opens the page once, and then the next one is told.
        """
        names = {host, "localhost", "127.0.0.1", "::1"} if host in ("127.0.0.1", "::1", "localhost") else {host}
        hosts = {f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names}
        self._app, self._announce = app, announce
        self._hosts = {name.encode() for name in hosts}
        self._origins = {b"http://" + name for name in self._hosts}
        self._link = f"http://{f'[{host}]' if ':' in host else host}:{port}{ENTER}?token="
        self._cookie, self._session = f"echoseg-{port}", secrets.token_urlsafe(32)
        self.renew()

    def renew(self) -> None:
        """Make the next link's token, and tell the link."""
        self._token = secrets.token_urlsafe(32)
        self._announce(self._link + self._token)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        refusal = self._why_not(scope)
        if refusal:
            await _take_in(scope, receive)
            await _answer(send_with_headers, *refusal)
        elif scope["path"] == ENTER:
            await self._enter(scope, send_with_headers)
        elif scope["method"] == "POST":
            body = await _read_body(receive)
            if body is None:
                await _answer(send_with_headers, 413, "more than a correction may have")
            else:
                await self._app(scope, _once(body, receive), send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _why_not(self, scope: Any) -> tuple[int, str] | None:
        """Status and reason of a refusal; None to let in."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        origins, post = headers.get(b"origin", []), scope["method"] == "POST"
        if len(hosts := headers.get(b"host", [])) != 1 or hosts[0] not in self._hosts:
            return 403, "this name is not served"
        if not set(origins) <= self._origins or (post and len(origins) != 1):
            return 403, "another page's request"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "only GET and POST"
        if scope["path"] == ENTER:
            return None
        if not self._knows(headers.get(b"cookie", [])):
            return 403, "open the page by the link that echoseg printed"
        if post and headers.get(b"content-type") != [b"application/json"]:
            return 415, "only JSON"
        length = headers.get(b"content-length", [b"0"])[0]
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return 413, "more than a correction may have"
        return None

    def _knows(self, cookies: list[bytes]) -> bool:
        try:
            jar = SimpleCookie(b"; ".join(cookies).decode("latin-1"))
        except CookieError:
            return False
        found = jar.get(self._cookie)
        return found is not None and secrets.compare_digest(found.value.encode(), self._session.encode())

    async def _enter(self, scope: Any, send: Any) -> None:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] != "GET" or not secrets.compare_digest(given.encode(), self._token.encode()):
            await _answer(send, 403, "this link was used before; echoseg has printed a new one")
            return
        self.renew()
        cookie = f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": _WELCOME})


async def _answer(send: Any, status: int, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"echoseg: {reason}\n".encode()})


async def _take_in(scope: Any, receive: Any) -> None:
    """Read what a refused request brings, if it is little: a connection closed over unread bytes loses the answer."""
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    if len(lengths) == 1 and lengths[0].isdigit() and int(lengths[0]) <= LARGEST_BODY:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_read_body(receive), _PATIENCE)


async def _read_body(receive: Any) -> bytes | None:
    """What was sent; None as soon as it is too much, whatever its length was said to be."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return body


def _once(body: bytes, receive: Any) -> Any:
    """A ``receive`` that brings the body, and then what the connection brings."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return waiting.pop() if waiting else await receive()

    return replay
