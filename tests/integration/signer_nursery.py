"""Signers by the hundred: a process that has imported everything forks one for each line it reads.

A signer that starts alone spends seconds on imports; one that is forked begins where `main` does.
Each is a process of its own, as killable as any.

`python signer_nursery.py`: reads {"runtime_dir", "account"}, answers the pid.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]


class Forked:
    """A forked signer, with as much of `Popen` as the harness uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stderr = StringIO()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Return None while it lives; its parent reaps it, so only that it ended is known."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            self.returncode = -signal.SIGKILL
        return self.returncode


class Nursery:
    """Our side of the nursery."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )

    def launch(self, runtime_dir: Path, account: dict[str, Any]) -> Forked:
        """Start a signer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = {"runtime_dir": str(runtime_dir), "account": account}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        return Forked(int(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()


def serve() -> None:
    """Fork a signer for each line."""
    from signer.__main__ import main
    from signer.warm_up import DryRun

    DryRun().warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are reaped by the kernel
    for line in sys.stdin:
        asked = json.loads(line)
        source, target = os.pipe()
        os.write(target, json.dumps(asked["account"]).encode())
        os.close(target)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os._exit(main([asked["runtime_dir"], "--secrets-fd", str(source)]))
        os.close(source)
        print(pid, flush=True)


if __name__ == "__main__":
    serve()
