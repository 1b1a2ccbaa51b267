"""What the kernel knows of its own clock: is somebody keeping it true? Linux only.

Nothing is asked of the network: an NTP daemon tells the kernel how far it may be off, and a kernel
that has long heard nothing says so. Source: adjtimex(2), the same call `timedatectl` makes.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

STA_UNSYNC = 0x0040
TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class KernelClock:
    """The kernel's clock. error_us_max: how far it may be off, by the kernel's own reckoning."""

    is_synchronised: bool
    error_us_max: int


class _Timex(ctypes.Structure):
    """`struct timex` of <sys/timex.h>; modes = 0 reads and changes nothing."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("error_us_max", ctypes.c_long),
        ("error_us", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", ctypes.c_long * 2),
        ("tick", ctypes.c_long),
        ("pps", ctypes.c_long * 8),
        ("tai", ctypes.c_int),
        ("unused", ctypes.c_int * 11),
    )


def read_kernel_clock() -> KernelClock:
    """Return what the kernel says; no privileges are needed. Errors: OSError where it does not."""
    timex = _Timex()
    adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    if adjtimex is None:
        raise OSError("this system has no adjtimex")
    state = adjtimex(ctypes.byref(timex))
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return clock_of(state, timex.status, timex.error_us_max)


def clock_of(state: int, status: int, error_us_max: int) -> KernelClock:
    """Return the meaning of what adjtimex answered. state: TIME_OK to TIME_ERROR.  status: STA_*.

    TIME_ERROR has other causes too, and in none of them is the clock to be trusted.
    """
    is_synchronised = state != TIME_ERROR and not status & STA_UNSYNC
    return KernelClock(is_synchronised, error_us_max)
