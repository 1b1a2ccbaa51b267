"""Answers HTTP requests wrongly on purpose: the middleware around everything else."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from engine.exchange.faults import RETRY_AFTER_S, Faults
from engine.exchange.scenario import Fault, FaultKind
from engine.exchange.server.http import CURSOR_END, json_response
from engine.exchange.venue_mode import THROTTLED_PAGE

CONTROLS = "/_exchange/"
TOO_MANY = 429
PAGES = ("data", "markets", "events")  # where the rows of a page are
CURSOR_NAME = "next_cursor"
BAD_ROW = {"id": 7}
UPPER = re.compile("[A-Z]")
GHOST_SIDES = {
    "bids": [{"price": "0.01", "size": "5000"}],
    "asks": [{"price": "0.99", "size": "5000"}],
}


def fault_guard(faults: Faults) -> Middleware:
    """Return the middleware that asks a scenario before and after every handler."""

    @web.middleware
    async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROLS):
            return await handler(request)
        fault = faults.request(request.method, request.path)
        if fault is None:
            return await handler(request)
        if fault.kind is FaultKind.LOST_REQUEST:
            return _hang_up(request)
        if fault.kind is FaultKind.ERROR_BEFORE:
            return _error(request, fault)
        answer = await handler(request)
        return await _spoil(request, answer, fault)

    return misbehave


async def _spoil(
    request: web.Request, answer: web.StreamResponse, fault: Fault
) -> web.StreamResponse:
    """Return what the client gets instead of an answer that was right."""
    if answer.prepared or not isinstance(answer, web.Response):
        return answer  # a WebSocket, long since over
    body = answer.body if isinstance(answer.body, bytes) else b""
    match fault.kind:
        case FaultKind.LOST_REPLY:
            return _hang_up(request)
        case FaultKind.ERROR_AFTER:
            return _error(request, fault)
        case FaultKind.LATE_REPLY:
            await asyncio.sleep(fault.delay_ms / 1_000)
        case FaultKind.WRONG_ID if answer.status == 200:
            return json_response(_renamed(orjson.loads(body)))
        case FaultKind.GHOST_BOOK if answer.status == 200:
            return json_response(_ghost(orjson.loads(body)))
        case FaultKind.EMPTY_PAGE if answer.status == 200:
            return json_response(_emptied(orjson.loads(body)))
        case FaultKind.NEW_SCHEMA if answer.status == 200:
            return json_response(_respelled(orjson.loads(body)))
        case FaultKind.BAD_ROW if answer.status == 200:
            return json_response(_with_bad_row(orjson.loads(body)))
        case FaultKind.SLOW_BYTES:
            return await _drip(request, answer, body, fault.delay_ms)
        case FaultKind.RESET:
            return await _break_off(request, answer, body)
    return answer


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; the answer returned has nowhere to go."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _error(request: web.Request, fault: Fault) -> web.Response:
    if fault.location:
        headers = {"Location": fault.location + request.path_qs}
        return web.Response(status=fault.status, headers=headers)
    if fault.body:
        answer = web.Response(text=fault.body, status=fault.status, content_type="application/json")
    elif fault.page:
        answer = web.Response(text=THROTTLED_PAGE, status=fault.status, content_type="text/html")
    else:
        answer = json_response({"error": fault.text}, fault.status)
    if fault.status == TOO_MANY:
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


async def _drip(
    request: web.Request, answer: web.Response, body: bytes, delay_ms: int
) -> web.StreamResponse:
    """Send an answer one byte at a time."""
    slow = await _begin(request, answer, body)
    for index in range(len(body)):
        await slow.write(body[index : index + 1])
        await asyncio.sleep(delay_ms / 1_000)
    await slow.write_eof()
    return slow


async def _break_off(request: web.Request, answer: web.Response, body: bytes) -> web.StreamResponse:
    """Send half of an answer and reset the connection."""
    half = await _begin(request, answer, body)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return half


async def _begin(request: web.Request, answer: web.Response, body: bytes) -> web.StreamResponse:
    stream = web.StreamResponse(status=answer.status)
    stream.content_type = answer.content_type
    stream.content_length = len(body)
    await stream.prepare(request)
    return stream


def _renamed(view: Any) -> Any:
    """Return an answer to an order with another order's id."""
    if isinstance(view, list):
        return [_renamed(leg) for leg in view]
    if isinstance(view, dict) and view.get("orderID"):
        order_id = view["orderID"]
        return view | {"orderID": order_id[:-1] + ("1" if order_id[-1] == "0" else "0")}
    return view


def _ghost(view: Any) -> Any:
    if isinstance(view, list):
        return [_ghost(book) for book in view]
    return view | GHOST_SIDES if isinstance(view, dict) and "bids" in view else view


def _emptied(view: Any) -> Any:
    """Return a list, or a page of one, without rows: as if it ended here."""
    if isinstance(view, list):
        return []
    if not isinstance(view, dict):
        return view
    emptied = {key: [] if key in PAGES else value for key, value in view.items()}
    if "data" in emptied and CURSOR_NAME in emptied:
        emptied[CURSOR_NAME] = CURSOR_END
    else:
        emptied.pop(CURSOR_NAME, None)  # the directory ends its lists by saying nothing
    return emptied


def _with_bad_row(view: Any) -> Any:
    """Return a list, or a page of one, whose first row is not what the others are."""
    if isinstance(view, list):
        return [BAD_ROW, *view[1:]] if view else view
    if not isinstance(view, dict):
        return view
    return {k: _with_bad_row(v) if k in PAGES else v for k, v in view.items()}


def _respelled(view: Any) -> Any:
    """Return the same with every key in snake_case and a digit: the venue's next version."""
    if isinstance(view, list):
        return [_respelled(row) for row in view]
    if not isinstance(view, dict):
        return view
    return {f"{UPPER.sub(_lower, key)}2": _respelled(value) for key, value in view.items()}


def _lower(upper: re.Match[str]) -> str:
    return "_" + upper[0].lower()
