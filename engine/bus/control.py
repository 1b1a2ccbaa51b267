"""The control plane: short questions to a running supervisor and its answers.

One ZeroMQ REP socket in the runtime directory (which nobody else may enter), JSON both ways:

```
request  {"command": "status" | "halt" | "resume" | "stop", "reason": "text, for halt and resume"}
reply    {"ok": true | false, "error": "why not", "data": {…}}
```
Never on the tick-to-trade path: orders and market data know nothing of it. Whatever is not a
request is answered with a refusal that says why; nothing a client sends can stop the server.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import zmq

from engine.bus.shm import BusError

MESSAGE_BYTES_MAX = 64 * 1024
REQUESTS_PER_ROUND_MAX = 16
REASON_CHARS_MAX = 500


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator asks for. reason: required by halt and resume, kept with the latch."""

    command: Literal["status", "halt", "resume", "stop"]
    reason: str = ""


class Reply(msgspec.Struct, frozen=True):
    """The answer. ok: whether it was done.  error: else why not.  data: what was asked for."""

    ok: bool
    error: str = ""
    data: dict[str, Any] = {}


def parse_request(frames: list[bytes]) -> Request | str:
    """Return the request in a message's frames, or why it is none."""
    if len(frames) != 1:
        return f"a request must be one frame: frames={len(frames)}"
    try:
        request = msgspec.json.decode(frames[0], type=Request)
    except (ValueError, RecursionError) as error:
        return f"not a request: {error}"
    if len(request.reason) > REASON_CHARS_MAX:
        return f"reason is too long: chars={len(request.reason)}, chars_max={REASON_CHARS_MAX}"
    if request.command in ("halt", "resume") and not request.reason.strip():
        return f"a reason must be given: command={request.command}"
    return request


class ControlServer:
    """The supervisor's ear. One thread; `serve` never blocks."""

    def __init__(self, path: Path) -> None:
        """Listen at `path`; BusError when that cannot be."""
        self._path = path
        self._context = zmq.Context()
        try:
            self._socket: zmq.Socket[bytes] = self._context.socket(zmq.REP)
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
            self._socket.bind(f"ipc://{path}")
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise BusError(f"control socket cannot be made: socket={path}, {error}") from None

    def wait(self, seconds_max: float) -> bool:
        """Wait until a request is there or the time is over; return whether one is."""
        return bool(self._socket.poll(int(seconds_max * 1_000)))

    def serve(self, answer: Callable[[Request], Reply]) -> int:
        """Answer the requests that are waiting, a bounded number; return how many."""
        for served in range(REQUESTS_PER_ROUND_MAX):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return served
            request = parse_request(frames)
            reply = Reply(False, request) if isinstance(request, str) else answer(request)
            self._socket.send(msgspec.json.encode(reply))
        return REQUESTS_PER_ROUND_MAX

    def close(self) -> None:
        """Close the socket and remove its file; a second call does nothing."""
        self._context.destroy(linger=0)
        self._path.unlink(missing_ok=True)


def ask(path: Path, request: Request, *, timeout_ms: int) -> Reply:
    """Return the supervisor's reply; one that is not `ok` also when nobody answers in time."""
    if not path.is_socket():
        return Reply(False, f"nobody listens: socket={path}")
    context = zmq.Context()
    try:
        socket: zmq.Socket[bytes] = context.socket(zmq.REQ)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"ipc://{path}")
        socket.send(msgspec.json.encode(request))
        if not socket.poll(timeout_ms):
            return Reply(False, f"no answer in time: socket={path}, timeout_ms={timeout_ms}")
        return msgspec.json.decode(socket.recv(), type=Reply)
    except (zmq.ZMQError, ValueError) as error:
        return Reply(False, f"cannot be asked: socket={path}, {error}")
    finally:
        context.destroy(linger=0)
