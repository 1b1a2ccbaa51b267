"""Writing a small file so that a reader finds all of it, or the one that was there before."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, text: bytes) -> None:
    """Replace a file; it survives the process. OSError when it cannot be, and nothing is left."""
    _replace(path, text, is_synced=False)


def write_durably(path: Path, text: bytes) -> None:
    """Replace a file and wait for the disk; it survives the machine. OSError as above."""
    _replace(path, text, is_synced=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Return once the names in a directory are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, text: bytes, *, is_synced: bool) -> None:
    draft = path.with_name(path.name + ".draft")
    try:
        with draft.open("wb") as file:
            file.write(text)
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
