"""Cold-path logs: JSON lines to one file a process, and errors counted instead of repeated.

Nothing is logged on the hot path; there, bump a counter. The line layout is
`{"at": ISO time, "process": …, "event": …, …}`. Secrets have no business here: give names and
numbers, never a message of the venue's with our headers in it.

A log that cannot be written (a full disk, one that is read-only) loses lines and stops no process:
each object counts them in `lost`, and the first error is said once on stderr.

`<process>.errors.json` beside the log is a list of distinct errors: the same one a million times is
one entry with a count, a first and a last time, so a storm of errors cannot fill a disk.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import structlog

from engine.host.clock import Clock
from engine.host.files import write_whole

ERRORS_DISTINCT_MAX = 256
ERRORS_WRITE_NS_MIN = 1_000_000_000
MESSAGE_CHARS_MAX = 500


def iso_time(now_ns: int) -> str:
    """Return epoch nanoseconds as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(now_ns // 1_000_000 / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds")


class Log:
    """The log of one process: `event(name, **fields)` appends a line, or counts it in `lost`."""

    def __init__(self, path: Path, process: str, clock: Clock) -> None:
        self.lost = 0
        self._path = path
        self._clock = clock
        self._file: BinaryIO | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            self._lose(error)
            return
        self._logger = structlog.wrap_logger(
            structlog.BytesLogger(self._file),
            processors=[_in_order, structlog.processors.JSONRenderer(serializer=_to_json)],
            wrapper_class=structlog.BoundLogger,
        ).bind(process=process)

    def event(self, event: str, **fields: object) -> None:
        """Append one line; values that JSON does not know are written as text."""
        if self._file is None:
            self.lost += 1
            return
        try:
            self._logger.msg(event, at=iso_time(self._clock.now_ns()), **fields)
        except OSError as error:
            self._lose(error)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._file is not None:
            self._file.close()

    def _lose(self, error: OSError) -> None:
        self.lost += 1
        if self.lost == 1:
            _say_lost(self._path, error)


def _say_lost(path: Path, error: OSError) -> None:
    with contextlib.suppress(OSError):  # stderr is a file on the same disk, more often than not
        print(f"log cannot be written: file={path}, {error.strerror}", file=sys.stderr, flush=True)


def _in_order(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    first = {key: line[key] for key in ("at", "process", "event")}
    return {**first, **line}


def _to_json(value: object, **_: object) -> bytes:
    return orjson.dumps(value, default=str)


@dataclass(slots=True)
class DistinctError:
    """One error however often it came. first / last: ISO time. trace: of the first one."""

    where: str
    kind: str
    message: str
    trace: str
    count: int
    first: str
    last: str


class ErrorLog:
    """The distinct errors of one process; those beyond ERRORS_DISTINCT_MAX share one entry."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._entries: dict[tuple[str, str, str], DistinctError] = {}
        self._is_dirty = False
        self._written_ns = 0
        self.lost = 0  # times it could not be written

    def record(self, where: str, error: BaseException) -> int:
        """Count an error; return how often it has come by now."""
        now_ns = self._clock.now_ns()
        message = str(error)[:MESSAGE_CHARS_MAX]
        key = (where, type(error).__name__, message)
        if key not in self._entries and len(self._entries) >= ERRORS_DISTINCT_MAX - 1:
            key = ("", "", "(more distinct errors than are kept)")
        at = iso_time(now_ns)
        entry = self._entries.get(key)
        if entry is None:
            trace = "".join(traceback.format_exception(error)) if key[0] else ""
            entry = self._entries[key] = DistinctError(*key, trace, 0, at, at)
        entry.count += 1
        entry.last = at
        self._is_dirty = True
        if now_ns - self._written_ns >= ERRORS_WRITE_NS_MIN:
            self.write()
        return entry.count

    def write(self) -> None:
        """Write the entries if any changed since the last time; the file is never half-written.

        What cannot be written stays to be written, a second later.
        """
        if not self._is_dirty:
            return
        self._written_ns = self._clock.now_ns()
        entries = [asdict(entry) for entry in self._entries.values()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, orjson.dumps(entries, option=orjson.OPT_INDENT_2))
        except OSError as error:
            self.lost += 1
            if self.lost == 1:
                _say_lost(self._path, error)
            return
        self._is_dirty = False
