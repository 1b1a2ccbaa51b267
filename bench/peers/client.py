"""Our side of the pipe to a client, or an EVM, that runs in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clients.environments import client_python

HERE = Path(__file__).resolve().parent
SCRIPTS = {
    "py-clob-client-v2": HERE / "clob_v2.py",
    "polymarket-client": HERE / "unified.py",
    "pyrevm": HERE.parents[1] / "tests" / "chain" / "evm.py",
}


class ClientError(Exception):
    """What the client raised, or that it is gone."""


class Client:
    """A running client. Answers come in the order of the questions."""

    def __init__(self, name: str, *also: str) -> None:
        """name, also: the environment, as in `client_python`. Raises NoEnvironment."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._process = subprocess.Popen(
            [client_python(name, *also), SCRIPTS[name]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def ask(self, task: str, **arguments: Any) -> Any:
        """Return a task's answer; raises ClientError for what went wrong there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"task": task, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ClientError(f"the client ended: exit={self._process.wait()}")
        said = json.loads(line)
        if "error" in said:
            raise ClientError(said["error"])
        return said["answer"]

    def close(self) -> None:
        """Close the pipe, which ends the client."""
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
