"""Answers and refusals of the HTTP side, in the venue's form: `{"error": "…"}`."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

ROWS_MAX = 1 << 40


class Refusal(Exception):
    """A request that is refused; becomes a status and the venue's error text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


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
                return await handler(request)
            except Refusal as refusal:
                return json_response({"error": refusal.text}, refusal.status)
            except web.HTTPException as error:
                if error.status < 400:
                    raise
                return json_response({"error": error.reason.lower()}, error.status)
            except ConnectionError:
                return json_response({"error": "connection lost"}, 400)  # nobody reads it
            except Exception as error:  # noqa: BLE001  the one catch-all: counted and answered
                self.count += 1
                self.last = f"{request.method} {request.path}: {error!r:.200}"
                return json_response({"error": "Internal server error"}, 500)

        return answer_in_words


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
