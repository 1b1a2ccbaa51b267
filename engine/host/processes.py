"""The life of one child process: started in its own session, watched by its counters, ended.

A child is in a session of its own, so Ctrl-C in the terminal reaches the supervisor alone and the
stop is in order; it asks the kernel for SIGTERM should the supervisor die (`engine.host.runner`).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from engine.bus.counters import CounterFile
from engine.bus.shm import BusError
from engine.host.duty import State
from engine.host.errors import Exit, HostError, RefuseError
from engine.host.plan import Part
from engine.host.secrets import Account, SealedKey, send_secrets

READY_LINE_BYTES_MAX = 1 << 20
_LAST_WORDS_BYTES = 4_096


class Child:
    """One running (or ended) process. Not thread-safe: the supervisor's thread alone uses it."""

    def __init__(
        self,
        part: Part,
        *,
        counters: Path,
        output: Path,
        installation: Path,
        account: Account | None = None,
        sealed: SealedKey | None = None,
        reads_stdout: bool = False,
    ) -> None:
        """Start the process; HostError if its command cannot be run.

        output: where stderr (and stdout unless `reads_stdout`) is appended.  account: passed
        through a pipe whose number becomes the last argument.  sealed: its pipe is handed on.
        """
        self.part = part
        self.output = output
        self.started_s = time.monotonic()
        self.was_ready = False  # it has been seen and said to be
        self.is_settled = False  # its end has been dealt with
        self.damage = ""  # what became of its counters, if somebody cut them
        self._counters_path = counters
        self._counters: CounterFile | None = None
        self._process = self._spawn(installation, account, sealed, reads_stdout)

    def _spawn(
        self,
        installation: Path,
        account: Account | None,
        sealed: SealedKey | None,
        reads_stdout: bool,
    ) -> subprocess.Popen[bytes]:
        command = [*self.part.command]
        inherited: list[int] = []
        if sealed is not None:
            inherited.append(sealed.passphrase_fd)
            command += sealed.arguments()
        if account is not None:
            inherited.append(send_secrets(account))
            command += ["--secrets-fd", str(inherited[-1])]
        try:
            with self.output.open("ab") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if reads_stdout else output,
                    stderr=output,
                    env={**os.environ, "PYTHONPATH": str(installation)},
                    pass_fds=inherited,
                    start_new_session=True,
                )
        except OSError as error:
            raise HostError(
                f"process cannot be started: process={self.part.name}, "
                f"command={command[0]}, {error.strerror}"
            ) from None
        finally:
            for descriptor in inherited:
                os.close(descriptor)
        if self.part.core is not None:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(process.pid, {self.part.core})
        return process

    @property
    def name(self) -> str:
        """The process's name."""
        return self.part.name

    @property
    def pid(self) -> int:
        """Its process id, also after its end."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives; else its exit code, negative for the signal that ended it."""
        return self._process.poll()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def counters(self) -> dict[str, int]:
        """Return its counters; empty until it has made them, and once there is `damage`."""
        if self.damage:
            return {}
        if self._counters is None:
            with contextlib.suppress(BusError):
                self._counters = self._own_counters()
        if self._counters is None:
            return {}
        try:
            return self._counters.snapshot()
        except BusError as error:
            self.damage = str(error)
            return {}

    @property
    def lacks_counters(self) -> bool:
        """Whether its counters were removed while it works; it does that itself at its end."""
        return self.is_ready and not os.path.lexists(self._counters_path)

    def _own_counters(self) -> CounterFile | None:
        """Return the file it has made; a restarted process finds its former self's before that."""
        found = CounterFile.attach(self._counters_path)
        try:
            if found.snapshot().get("pid") == self.pid:
                return found
        except BusError:
            found.close()
            raise
        found.close()
        return None

    @property
    def is_ready(self) -> bool:
        """Whether it said it is ready, and lives."""
        return self.is_alive and self.counters().get("state") == State.READY

    def heartbeat_age_ms(self, now_ns: int) -> int:
        """Return how long ago a ready process last beat, 0 for one that is not ready."""
        counters = self.counters()
        if counters.get("state") != State.READY:
            return 0
        return max(0, now_ns - counters["heartbeat_ns"]) // 1_000_000

    def ready_line(self, deadline_s: float) -> dict[str, Any] | None:
        """Return the JSON object of its first line on stdout, None while there is none.

        Waits a tenth of a second at most. HostError when the line is not JSON, the process ended,
        or `deadline_s` (monotonic) is over.
        """
        assert self._process.stdout is not None, "started without reads_stdout"
        if select.select([self._process.stdout], [], [], 0.1)[0]:
            line = self._process.stdout.readline(READY_LINE_BYTES_MAX)
            if line:
                self._process.stdout.close()
                return self._decoded(line)
        if not self.is_alive or time.monotonic() >= deadline_s:
            raise self.not_ready()
        return None

    def _decoded(self, line: bytes) -> dict[str, Any]:
        try:
            return msgspec.json.decode(line, type=dict[str, Any])
        except ValueError:  # not JSON, or not UTF-8
            raise HostError(
                f"ready line is not JSON: process={self.name}, log={self.output}"
            ) from None

    def not_ready(self) -> HostError:
        """Return the error of a process that did not become ready, with its last words."""
        code = self.exit_code
        how = f"ended before it was ready: exit_code={code}" if code is not None else "is not ready"
        kind = RefuseError if code == Exit.REFUSED else HostError
        return kind(f"process {self.name} {how}, log={self.output}{self.last_words()}")

    def last_words(self) -> str:
        """Return the last line it wrote as `: line`, empty if it wrote nothing."""
        try:
            with self.output.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f": {lines[-1].strip()}" if lines else ""

    def terminate(self) -> None:
        """Ask it to stop in order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and whatever it started, now."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if not self.is_alive:
            return
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self.pid, number)  # it leads the group of its own session
            else:
                os.kill(self.pid, number)

    def wait(self, deadline_s: float) -> bool:
        """Wait until it has ended or `deadline_s` (monotonic) is over; return whether it has."""
        try:
            self._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """Let go of its counters and pipes; it must have ended."""
        if self._counters is not None:
            self._counters.close()
            self._counters = None
        if self._process.stdout is not None:
            self._process.stdout.close()
