"""The venue's official clients, unmodified, each in an environment of its own, driven from tests.

`tests/clients/NAME.lock` pins a client and all it needs, with hashes. It is installed once, under
`.venv-clients/`, and run as a process; `Remote` calls it there by name.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-clients"
CLIENTS = ROOT / "tests" / "clients"
REPLY_S_MAX = 60.0


class ClientError(Exception):
    """An exception inside the client: `error` has its type, its text and its public attributes."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['type']}: {error['text']}")
        self.error = error


def client_python(name: str) -> Path:
    """Return the interpreter of a client's environment, made first if need be.

    Skips the test where the client cannot be installed.
    """
    lock = CLIENTS / f"{name}.lock"
    folder = FOLDER / name
    stamp = folder / ".installed"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.flock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != digest:
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-input"]
            done = subprocess.run(
                [*pip, "--disable-pip-version-check", "--require-hashes", "-r", lock],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                pytest.skip(f"{name} cannot be installed: {done.stderr.strip()[-300:]}")
            stamp.write_text(digest)
    return folder / "bin" / "python"


class Remote:
    """A process with a client in it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def call(self, name: str, /, *args: Any, keep: str | None = None, **kwargs: Any) -> Any:
        """Return the shown result of calling a name there; ClientError if it raised.

        keep: hold on to the result under this name instead of showing it.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = {"call": name, "args": args, "kwargs": kwargs, "keep": keep}
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        text = await asyncio.wait_for(self._process.stdout.readline(), REPLY_S_MAX)
        assert text, "the client's process ended"
        answer = json.loads(text)
        if "error" in answer:
            raise ClientError(answer["error"])
        return answer.get("result")

    async def refused(self, name: str, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the error of a call that must fail."""
        with pytest.raises(ClientError) as caught:
            await self.call(name, *args, **kwargs)
        return caught.value.error


def made(name: str, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return an argument that is made there by a call."""
    return {"$call": name, "args": args, "kwargs": kwargs}


def thing(name: str) -> dict[str, str]:
    """Return an argument that is imported there."""
    return {"$name": name}


def kept(name: str) -> dict[str, str]:
    """Return an argument that was kept there."""
    return {"$kept": name}


@asynccontextmanager
async def remote(python: Path) -> AsyncIterator[Remote]:
    """Run a client's process."""
    process = await asyncio.create_subprocess_exec(
        python,
        "-W",
        "ignore",
        CLIENTS / "remote.py",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=1 << 24,
    )
    try:
        yield Remote(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
