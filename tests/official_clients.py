"""The venue's official clients, unmodified, each in an environment of its own, driven from tests.

Each runs as a process in its environment; `Remote` calls the Python ones there by name.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from clients import environments

CLIENTS = Path(environments.__file__).parent
REPLY_S_MAX = 60.0


class ClientError(Exception):
    """An exception inside the client: `error` has its type, its text and its public attributes."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['type']}: {error['text']}")
        self.error = error


def client_python(name: str) -> Path:
    """Return the interpreter of a client's environment; skips where it cannot be made."""
    try:
        return environments.client_python(name)
    except environments.NoEnvironment as error:
        pytest.skip(f"{name} cannot be installed: {error}")


def npm_folder() -> Path:
    """Return a folder with the TypeScript clients installed; skips where they cannot be."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("the TypeScript clients need node and npm")
    source, folder = CLIENTS / "npm", environments.ENVIRONMENTS / "npm"
    wanted = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()
    made = folder / ".installed"
    folder.mkdir(parents=True, exist_ok=True)
    with (environments.ENVIRONMENTS / "npm.flock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        for name in ("package.json", "package-lock.json", "trade.mjs", "unified.mjs"):
            shutil.copy(source / name, folder / name)
        if not made.exists() or made.read_text() != wanted:
            command = ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"the TypeScript clients cannot be installed: {done.stderr[-300:]}")
            made.write_text(wanted)
    return folder


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
