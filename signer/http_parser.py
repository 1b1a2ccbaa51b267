"""HTTP/1.1 answers from bytes, one at a time: the little a warm connection needs.

Everything is bounded, and whatever is not plainly an answer is an error: the other side may be
broken or hostile, and a misread answer is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 1024 * 1024
_CHUNK_LINE_BYTES_MAX = 256
# The headers anyone here reads; all others are skipped.
NOTED_HEADERS = frozenset((b"retry-after", b"poly-ratelimit-remaining", b"poly-ratelimit-reset"))
NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})


class HttpError(Exception):
    """The bytes are not an HTTP/1.1 answer within the bounds; the connection is useless."""


class Response(NamedTuple):
    """One answer. keep_alive: whether the connection may be used again. headers: NOTED_HEADERS."""

    status: int
    body: bytes
    keep_alive: bool
    headers: Mapping[bytes, bytes] = NO_HEADERS


class ResponseParser:
    """Collects bytes until they are one answer. Fresh for each request."""

    __slots__ = ("_body_at", "_buffer", "_chunks", "_headers", "_keep_alive", "_left", "_status")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._status = 0
        self._keep_alive = True
        self._left = 0  # body bytes to come; -1 chunked, -2 until the connection ends
        self._body_at = -1  # where the body begins in the buffer, -1 = the head is not complete
        self._chunks = bytearray()
        self._headers: dict[bytes, bytes] = {}

    def feed(self, data: bytes) -> Response | None:
        """Return the answer if these bytes complete it. Raises HttpError."""
        self._buffer += data
        while self._body_at < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_BYTES_MAX:
                    raise HttpError(f"answer's head is too long: bytes={len(self._buffer)}")
                return None
            self._read_head(bytes(self._buffer[:end]))
            if 100 <= self._status < 200:  # an interim answer: the real one follows
                del self._buffer[: end + 4]
                continue
            self._body_at = end + 4
        if self._left == -1:
            return self._read_chunks()
        held = len(self._buffer) - self._body_at
        if held > BODY_BYTES_MAX:
            raise HttpError(f"answer's body is too long: bytes={held}")
        if self._left == -2 or held < self._left:
            return None
        return self._answer(self._body_at + self._left, self._buffer[self._body_at :][: self._left])

    def finish(self) -> Response | None:
        """Return the answer that the end of the connection completes, if it does."""
        if self._body_at < 0 or self._left != -2:
            return None
        return self._answer(len(self._buffer), self._buffer[self._body_at :])

    def _answer(self, end: int, body: bytearray) -> Response:
        # Bytes beyond the answer belong to nothing we asked: do not use this connection again.
        keep_alive = self._keep_alive and end == len(self._buffer)
        return Response(self._status, bytes(body), keep_alive, self._headers)

    def _read_head(self, head: bytes) -> None:
        lines = head.split(b"\r\n")
        parts = lines[0].split(b" ", 2)
        if len(parts) < 2 or parts[0] not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise HttpError("answer does not begin with an HTTP/1 status line")
        if len(parts[1]) != 3 or not parts[1].isdigit():
            raise HttpError("answer's status is not three digits")
        self._status = int(parts[1])
        self._keep_alive = parts[0] == b"HTTP/1.1"
        length = -2
        chunked = False
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon:
                raise HttpError("answer has a header line without a colon")
            name = name.strip().lower()
            value = value.strip().lower()
            if name == b"content-length":
                if not value.isdigit() or len(value) > 10 or length not in (-2, int(value)):
                    raise HttpError("answer's length is not one number")
                length = int(value)
            elif name == b"transfer-encoding":
                chunked = True
                if value != b"chunked":
                    raise HttpError("answer's transfer encoding is not chunked")
            elif name == b"connection":
                self._keep_alive = b"close" not in value and (
                    self._keep_alive or b"keep-alive" in value
                )
            elif name in NOTED_HEADERS:
                self._headers[name] = value
        if length > BODY_BYTES_MAX:
            raise HttpError(f"answer's body is too long: bytes={length}")
        if self._status in (204, 304):
            self._left = 0
        elif chunked:
            self._left = -1
        else:
            self._left = length
            self._keep_alive = self._keep_alive and length != -2

    def _read_chunks(self) -> Response | None:
        """Move whole chunks over to the body; chunks that are not complete stay for later."""
        while True:
            line_end = self._buffer.find(b"\r\n", self._body_at)
            if line_end < 0:
                if len(self._buffer) - self._body_at > _CHUNK_LINE_BYTES_MAX:
                    raise HttpError("answer's chunk has no size")
                return None
            digits = bytes(self._buffer[self._body_at : line_end]).partition(b";")[0].strip()
            size = _chunk_size(digits)
            if len(self._chunks) + size > BODY_BYTES_MAX:
                raise HttpError("answer's body is too long")
            begin = line_end + 2
            if size == 0:
                return self._read_trailer(line_end)
            if len(self._buffer) < begin + size + 2:
                return None
            if self._buffer[begin + size : begin + size + 2] != b"\r\n":
                raise HttpError("answer's chunk is longer than its size")
            self._chunks += self._buffer[begin : begin + size]
            self._body_at = begin + size + 2

    def _read_trailer(self, line_end: int) -> Response | None:
        end = self._buffer.find(b"\r\n\r\n", line_end)
        if end < 0:
            if len(self._buffer) - line_end > HEAD_BYTES_MAX:
                raise HttpError("answer's trailer is too long")
            return None
        return self._answer(end + 4, self._chunks)


def _chunk_size(digits: bytes) -> int:
    if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
        raise HttpError("answer's chunk size is not hexadecimal")
    return int(digits, 16)
