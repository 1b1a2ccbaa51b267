"""Answers and refusals of the HTTP side, in the venue's form: `{"error": "…"}`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

ROWS_MAX = 1 << 40
PAGE_ROWS = 100
CURSOR_END = "LTE="


RATE_HEADERS = web.RequestKey("rate headers", dict[str, str])


class Refusal(Exception):
    """A request that is refused; becomes a status and the venue's error text.

    more: further keys of the body.  headers: of the answer.  page: HTML to send instead of JSON.
    """

    def __init__(
        self,
        status: int,
        text: str,
        *,
        more: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        page: str = "",
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.more = more or {}
        self.headers = headers or {}
        self.page = page

    def response(self) -> web.Response:
        """Return the answer that says so."""
        if self.page:
            answer = web.Response(text=self.page, status=self.status, content_type="text/html")
        else:
            answer = json_response({"error": self.text, **self.more}, self.status)
        answer.headers.update(self.headers)
        return answer


def json_response(value: Any, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def parse_json(body: bytes) -> Any:
    """Return decoded JSON; Refusal 400 for anything else."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, "Invalid order payload") from None


class Faults:
    """Counts what went wrong in handlers, and remembers the last of it."""

    __slots__ = ("count", "last")

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def guard(self) -> Middleware:
        """Return the middleware that answers refusals and failures in the venue's form."""

        @web.middleware
        async def answer_in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await handler(request)
            except Refusal as refusal:
                response = refusal.response()
            except web.HTTPException as error:
                if error.status < 400:
                    raise
                response = json_response({"error": error.reason.lower()}, error.status)
            except ConnectionError:
                response = json_response({"error": "connection lost"}, 400)  # nobody reads it
            except Exception as error:  # noqa: BLE001  the one catch-all: counted and answered
                self.count += 1
                self.last = f"{request.method} {request.path}: {error!r:.200}"
                response = json_response({"error": "Internal server error"}, 500)
            rate = request.get(RATE_HEADERS)
            if rate is not None and not response.prepared:
                response.headers.update(rate)
            return response

        return answer_in_words


def page_response(rows: Sequence[Any], cursor: str | None) -> web.Response:
    """Return one page of a list; cursors are opaque base64 numbers, `LTE=` is the end."""
    start = decode_cursor(cursor)
    page = rows[start : start + PAGE_ROWS]
    after = start + PAGE_ROWS
    return json_response(
        {
            "limit": PAGE_ROWS,
            "count": len(page),
            "next_cursor": encode_cursor(after) if after < len(rows) else CURSOR_END,
            "data": page,
        }
    )


def encode_cursor(row: int) -> str:
    """Return the opaque name of a place in a list: base64 of its number."""
    return base64.b64encode(str(row).encode()).decode()


def decode_cursor(cursor: str | None) -> int:
    """Return the place a cursor names, 0 for none; Refusal 400 for anything else."""
    if not cursor:
        return 0
    try:
        row = int(base64.b64decode(cursor, validate=True)[:12])
    except ValueError:
        raise Refusal(400, "invalid next_cursor") from None
    return row if row >= 0 else ROWS_MAX  # "-1" is the venue's end of every list
