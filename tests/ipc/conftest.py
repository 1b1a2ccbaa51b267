"""Starting the other process, and a folder in memory to meet it in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from conformance import build

ROOT = Path(__file__).resolve().parents[2]
PEER = Path(__file__).with_name("peer.py")

Peer = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """A 0700 folder, in memory where the machine has such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Start `peer.py`, or a compiled peer, with these arguments; who still lives at the end is
    killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, program: Path | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, str(PEER)] if program is None else [str(program)]
        process = subprocess.Popen(
            [*command, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Return a program of a language, compiled once; skips where there is no compiler."""

    @cache
    def program(language: str, name: str) -> Path:
        return build(language, name, tmp_path_factory.mktemp(language))

    return program
