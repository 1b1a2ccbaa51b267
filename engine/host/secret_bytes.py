"""Secrets as bytes that can be forgotten: read from a descriptor, handed on, overwritten.

A bytearray is overwritten where it lies; a `str` or `bytes` stays in memory until something else
happens to take its place. So a secret is a bytearray from where it comes in to where it is used.
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from engine.host.errors import RefuseError

SECRET_BYTES_MAX = 4_096  # less than a pipe holds: handing on never waits for the reader


def wipe(secret: bytearray) -> None:
    """Overwrite a secret where it lies in memory."""
    secret[:] = bytes(len(secret))


def read_secret(descriptor: int, what: str) -> bytearray:
    """Return what an inherited descriptor holds, without one newline at its end, and close it.

    Raises RefuseError when it cannot be read, is a terminal, or gives nothing or too much.
    """
    try:
        if os.isatty(descriptor):
            raise RefuseError(f"{what} would be shown on the terminal: descriptor={descriptor}")
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            return _read(source, what)
    except OSError as error:
        raise RefuseError(
            f"{what} cannot be read: descriptor={descriptor}, {error.strerror}"
        ) from None


def read_secret_file(path: Path, what: str) -> bytearray | None:
    """Return what a file holds, as `read_secret` does; None if there is no such file."""
    try:
        with path.open("rb", buffering=0) as source:
            return _read(source, what)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RefuseError(f"{what} cannot be read: file={path}, {error.strerror}") from None


def hand_on(secret: bytearray) -> int:
    """Return the read end of a pipe that holds a secret, for one process to read it once."""
    assert len(secret) <= SECRET_BYTES_MAX, f"secret too long: bytes={len(secret)}"
    source, target = os.pipe()
    try:
        os.write(target, secret)
    finally:
        os.close(target)
    return source


def _read(source: FileIO, what: str) -> bytearray:
    """Return everything up to the end, without one newline there."""
    buffer = bytearray(SECRET_BYTES_MAX + 1)
    view = memoryview(buffer)
    size = 0
    try:
        while size < len(buffer) and (count := source.readinto(view[size:])):
            size += count
        if size > SECRET_BYTES_MAX:
            raise RefuseError(f"{what} is too long: bytes_max={SECRET_BYTES_MAX}")
        secret = bytearray(view[:size])
    finally:
        view.release()
        wipe(buffer)
    for ending in (b"\r\n", b"\n"):
        if secret.endswith(ending):
            del secret[-len(ending) :]
            break
    if not secret:
        raise RefuseError(f"{what} is empty")
    return secret
