"""`halftick run` on a wallet of the venue, started and ended as an operator does, or a disaster."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from integration.live_venue import HALFTICK, ROOT, pipe_of

from engine.bus.control import Request, ask
from engine.host.errors import HostError
from engine.host.status import RunStatus, read_status

NAME = "siege"
READY_S_MAX = 120.0  # other people's tests may run beside it
END_S_MAX = 45.0
STEP_S = 0.02


class Trader:
    """One configuration's runs, one after another. Outputs are `folder`/run-N.out."""

    def __init__(
        self, config: Path, folder: Path, wallet: str, passphrase: str, env: dict[str, str]
    ) -> None:
        """Nothing is started. env: what the runs see beside this process's environment."""
        self._config = config
        self._folder = folder
        self._wallet = wallet
        self._passphrase = passphrase
        self._env = {**os.environ, **env}
        own = f"halftick-{os.getuid()}"
        self._runtime = Path(env["HALFTICK_RUNTIME_DIR"]) / own / NAME
        self._process: subprocess.Popen[bytes] | None = None
        self.count = 0

    @property
    def is_up(self) -> bool:
        """Whether a supervisor runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def runtime(self) -> Path:
        """The run's runtime directory."""
        return self._runtime

    def start(self) -> bool:
        """Start a run and wait for it; return whether all its processes are ready."""
        self.count += 1
        source = pipe_of(self._passphrase)
        command = [*HALFTICK, "run", "--config", str(self._config), "--live", "--json"]
        command += ["--confirm-wallet", self._wallet, "--passphrase-fd", str(source)]
        with (self._folder / f"run-{self.count}.out").open("wb") as output:
            self._process = subprocess.Popen(
                command, pass_fds=[source], stdout=output, stderr=output, cwd=ROOT, env=self._env
            )
        os.close(source)
        self.until(lambda: not self.is_up or self._is_ready(), READY_S_MAX)
        return self.is_up and self._is_ready()

    def stop(self) -> int:
        """End the run as its operator does; return its exit code, -9 if it had to be killed."""
        if self._process is None:
            return 0
        if self.is_up:
            self._process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Wait for the run's end and its processes'; return its exit code."""
        assert self._process is not None
        pids = self.pids()
        self.until(lambda: not self.is_up, END_S_MAX)
        if self.is_up:
            self.kill_all(pids)
        self.until(lambda: not any(_is_alive(pid) for pid in pids.values()), END_S_MAX)
        return self._process.wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a process of the run a signal; `supervisor` and `all` are names, too."""
        pids = self.pids()
        targets = pids.values() if name == "all" else [pids[name]] if name in pids else []
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_all(self, pids: dict[str, int]) -> None:
        """Kill whatever is left of a run."""
        for pid in pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pids(self) -> dict[str, int]:
        """Return the ids of the processes that have counters, and the supervisor's."""
        found = self.status()
        pids = {each.name: each.pid for each in found.processes if each.pid} if found else {}
        if self._process is not None and self.is_up:
            pids["supervisor"] = self._process.pid
        return pids

    def status(self) -> RunStatus | None:
        """Return what is to be seen of the run, None where there is none."""
        with contextlib.suppress(HostError, OSError, ValueError):
            return read_status(self._runtime)
        return None

    def core(self) -> dict[str, int]:
        """Return the core's own counters, {} without a core."""
        found = self.status()
        cores = [each for each in found.processes if each.name == "core"] if found else []
        return cores[0].own if cores else {}

    def command(self, what: str) -> bool:
        """Tell the supervisor to halt or resume; return whether it said that it has."""
        request = Request(what, "siege")  # type: ignore[arg-type]
        return ask(self._runtime / "control.sock", request, timeout_ms=5_000).ok

    def clear_halt(self) -> None:
        """Clear a latched halt of a run that is not up."""
        subprocess.run(
            [*HALFTICK, "resume", "--reason", "siege", "--config", str(self._config)],
            cwd=ROOT, env=self._env, capture_output=True,
        )  # fmt: skip

    def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Wait for a condition at most so long; return whether it came true."""
        deadline_s = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(STEP_S)
        return True

    def _is_ready(self) -> bool:
        found = self.status()
        states = [each.state for each in found.processes] if found else []
        return len(states) == 4 and all(state == "READY" for state in states)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
