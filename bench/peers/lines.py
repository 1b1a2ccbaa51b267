"""A client's side of the pipe: one JSON line in, one JSON line out, until the pipe closes.

Runs in the client's own environment, so it needs the standard library only.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

Tasks = dict[str, Callable[..., Any]]


def serve(tasks: Tasks) -> None:
    """Answer `{"task": name, …arguments}` with what the task returns, or with its error."""
    for line in sys.stdin:
        arguments = json.loads(line)
        try:
            answer = {"answer": tasks[arguments.pop("task")](**arguments)}
        except Exception as error:  # noqa: BLE001  the asking side raises it
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def timed(call: Callable[[], object], count: int) -> list[int]:
    """Return the nanoseconds of each of `count` calls."""
    spent = []
    for _ in range(count):
        began = time.perf_counter_ns()
        call()
        spent.append(time.perf_counter_ns() - began)
    return spent


def counted(call: Callable[[], object]) -> dict[str, int]:
    """Return the bytecodes one call executes and the functions it calls, Python's and C's.

    The collector waits meanwhile: when it comes depends on everything before, and whoever listens
    to it (`gc.callbacks`) would be counted.
    """
    seen = {"bytecodes": 0, "calls": 0}
    was_collecting = gc.isenabled()
    gc.disable()

    def trace(frame: Any, event: str, _argument: object) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        seen["bytecodes"] += event == "opcode"
        return trace

    def profile(_frame: Any, event: str, _argument: object) -> None:
        seen["calls"] += event in ("call", "c_call")

    try:
        for start, watch in ((sys.settrace, trace), (sys.setprofile, profile)):
            start(watch)
            try:
                call()
            finally:
                start(None)
    finally:
        if was_collecting:
            gc.enable()
    seen["calls"] -= 1  # the one that ends the watch
    return seen
