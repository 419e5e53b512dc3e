"""Access control of the review page: only a browser that has opened the link may use it.

Every request is checked before the application sees it: its Host header (against DNS rebinding), its Origin header
(against scripts of other pages), the session cookie, the method, and the size of the body.
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
MAX_BODY = 1 << 18  # bytes; a correction has a few thousand
_REFUSED_BODY_TIMEOUT = 1.0  # s

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
}
# The link answers with this page instead of a redirect: the cookie is SameSite=Strict, so a browser would not send it
# with a redirect that follows a click in another program.
_FORWARDING_PAGE = (
    b'<!doctype html><html lang="en"><title>echoseg review</title><link rel="icon" href="data:,">'
    b'<meta http-equiv="refresh" content="0;url=/">'
    b'<a href="/">Continue to the review page</a></html>'
)


class Guard:
    """An ASGI application that checks requests before it passes them to another one.

    Args:
        app: The protected application.
        host: The address that the server listens on.
        port: The port that the server listens on.
        announce: Called with a new link each time a browser has used the current one. The first link is not
            announced; read it from `link`.
    """

    def __init__(self, app: Any, *, host: str, port: int, announce: Callable[[str], None]) -> None:
        names = {host, "localhost", "127.0.0.1", "::1"} if host in ("127.0.0.1", "::1", "localhost") else {host}
        bare = {f"[{name}]" if ":" in name else name for name in names}
        ends = (f":{port}", "") if port == 80 else (f":{port}",)  # browsers leave out port 80
        self._app, self._announce = app, announce
        self._hosts = {f"{name}{end}".encode() for name in bare for end in ends}
        self._origins = {b"http://" + name for name in self._hosts}
        self._address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._cookie, self._session = f"echoseg-{port}", secrets.token_urlsafe(32)
        self._token = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """The address that opens the page; it works once."""
        return f"{self._address}{ENTER}?token={self._token}"

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

        refusal = self._refusal(scope)
        if refusal:
            await _drain_body(scope, receive)
            await _send_text(send_with_headers, *refusal)
        elif scope["path"] == ENTER:
            await self._enter(scope, send_with_headers)
        elif scope["method"] == "POST":
            body = await _read_body(receive)
            if body is None:
                await _send_text(send_with_headers, 413, "the request is too large")
            else:
                await self._app(scope, _replay(body, receive), send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Any) -> tuple[int, str] | None:
        """The status and the reason if a request is refused; None if it is accepted."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        origins, post = headers.get(b"origin", []), scope["method"] == "POST"
        if len(hosts := headers.get(b"host", [])) != 1 or hosts[0] not in self._hosts:
            return 403, "this server does not answer to that host name"
        if not set(origins) <= self._origins or (post and len(origins) != 1):
            return 403, "the request comes from another page"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "only GET and POST are allowed"
        if scope["path"] == ENTER:
            return None
        if not self._has_session(headers.get(b"cookie", [])):
            return 403, "open the page with the link that echoseg printed"
        if post and headers.get(b"content-type") != [b"application/json"]:
            return 415, "only JSON is accepted"
        length = headers.get(b"content-length", [b"0"])[0]
        if not length.isdigit() or int(length) > MAX_BODY:
            return 413, "the request is too large"
        return None

    def _has_session(self, cookies: list[bytes]) -> bool:
        try:
            jar = SimpleCookie(b"; ".join(cookies).decode("latin-1"))
        except CookieError:
            return False
        found = jar.get(self._cookie)
        return found is not None and secrets.compare_digest(found.value.encode(), self._session.encode())

    async def _enter(self, scope: Any, send: Any) -> None:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] != "GET" or not secrets.compare_digest(given.encode(), self._token.encode()):
            await _send_text(send, 403, "this link has been used; open the new link that echoseg printed")
            return
        self._token = secrets.token_urlsafe(32)
        self._announce(self.link)
        cookie = f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": _FORWARDING_PAGE})


async def _send_text(send: Any, status: int, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"echoseg: {reason}\n".encode()})


async def _drain_body(scope: Any, receive: Any) -> None:
    """Read the body of a refused request if it is small.

    The client would lose the response if the connection were closed before its body was read.
    """
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    if len(lengths) == 1 and lengths[0].isdigit() and int(lengths[0]) <= MAX_BODY:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_read_body(receive), _REFUSED_BODY_TIMEOUT)


async def _read_body(receive: Any) -> bytes | None:
    """The body; None as soon as it exceeds `MAX_BODY`, whatever length its header gives."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body"):
            return body


def _replay(body: bytes, receive: Any) -> Any:
    """A ``receive`` that gives a body that was read already, and after it what the connection gives."""
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Any:
        return unread.pop() if unread else await receive()

    return receive_again
