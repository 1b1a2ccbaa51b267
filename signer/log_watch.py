"""Does the order log's disk keep up? No order is sent whose place in the log is not certain.

A disk that is behind stops new orders until it has caught up. One that has failed stops them until
the next start: after a failed sync it is not known what of the file is on disk.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.bus.counters import CounterFile
from engine.host.errors import HostError
from engine.wire.codes import Reason
from signer import tally
from signer.admission import Admission
from signer.order_log import OrderLog, failure

_OK, _ORDER_LOG = int(Reason.OK), int(Reason.ORDER_LOG)


class OrderLogError(HostError):
    """The order log's disk failed; the message names the file and the errno."""


class LogWatch:
    """Tells `Admission` of the disk, and counts; a failure also goes to the error log, once."""

    __slots__ = ("_admission", "_counters", "_has_failed", "_lag_ns_max", "_log", "_note")

    def __init__(
        self,
        log: OrderLog,
        admission: Admission,
        counters: CounterFile,
        lag_ns_max: int,
        note: Callable[[str, BaseException], None],
    ) -> None:
        """lag_ns_max: how long an entry may wait for the disk.  note: writes an error down."""
        self._log = log
        self._admission = admission
        self._counters = counters
        self._lag_ns_max = lag_ns_max
        self._note = note
        self._has_failed = False

    def look(self, now_ns: int) -> None:
        """Allow new orders, or not. Hot path."""
        if self._has_failed:
            return
        if self._log.failed_errno:
            self._on_failure(self._log.failed_errno)
        elif self._log.lag_ns(now_ns) <= self._lag_ns_max:
            self._admission.log_reason = _OK
        elif not self._admission.log_reason:
            self._admission.log_reason = _ORDER_LOG
            self._counters.add(tally.LOG_STALLS)

    def _on_failure(self, number: int) -> None:
        self._has_failed = True
        self._admission.log_reason = _ORDER_LOG
        self._counters.set(tally.LOG_FAILED_ERRNO, number)
        said = failure(self._log.path, number)
        self._note("order log", OrderLogError(f"order log's disk failed: {said}"))
