"""Runs of toy processes under a real supervisor, for the tests beside this file."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.host.config.load import settings_of
from engine.host.config.schema import Settings
from engine.host.secrets import Account, ApiCredentials

TOY = Path(__file__).with_name("toy_process.py")
ACCOUNT = Account("0xaa", "0xaa", ApiCredentials("key", "c2VjcmV0", "pass"), private_key="0x01")


@pytest.fixture
def runtime_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short, private directory for runtime directories; it must be empty at the end."""
    with tempfile.TemporaryDirectory(prefix="ht", dir="/dev/shm") as directory:
        root = Path(directory) / "r"
        monkeypatch.setenv("HALFTICK_RUNTIME_DIR", str(root))
        yield root
        assert not root.exists() or not list(root.iterdir()), "a runtime directory was left behind"


def toy_settings(state_dir: Path, **host: Any) -> Settings:
    """Return the settings of a run whose processes are all toys."""
    processes = {"core": "core", "signer": "signer", "recorder": "recorder", "feeds.market": "feed"}
    return settings_of(
        {
            "run": {"name": "toy", "directory": str(state_dir)},
            "venue": {
                "rest_url": "http://127.0.0.1:1",
                "market_ws_url": "ws://127.0.0.1:1",
                "user_ws_url": "ws://127.0.0.1:1",
                "gamma_url": "http://127.0.0.1:1",
            },
            "markets": {"slugs": ["a"]},
            "feeds": {"market": {"feeds": ["gamma", "clob_market", "clob_user"]}},
            "signer": {"core_silence_ms_max": 200},
            "host": {"ring_capacity": {"md": 64, "tape": 64}, **host},
            "process": {
                name: {"command": [sys.executable, str(TOY), role]}
                for name, role in processes.items()
            },
        },
        "toy",
    )


def wait_for(condition: Callable[[], bool], what: str, deadline_s: float = 60.0) -> None:
    """Wait until a condition holds; fail naming it when the deadline is over."""
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, f"did not happen in time: {what}"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Return whether no process has this id any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
