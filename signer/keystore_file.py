"""Keystores on disk: their owner's alone, written whole or not at all.

A file that somebody else could have read or laid there is refused before a passphrase is spent on
it: not a regular file of ours, a symbolic link, or readable by group or others.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from engine.host.errors import RefuseError
from signer.keystore import FILE_BYTES_MAX

SUFFIX = ".keystore"


def read_keystore(path: Path) -> bytes:
    """Return the bytes of a keystore file, still sealed.

    Raises RefuseError when it cannot be read, is not a private, regular file of ours, or too long.
    """
    try:
        with open(path, "rb", opener=_open_unfollowed) as file:
            _check_private(os.fstat(file.fileno()), path)
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RefuseError(f"keystore must not be a symbolic link: file={path}") from None
        raise RefuseError(f"keystore cannot be read: file={path}, {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise RefuseError(f"keystore is too long: file={path}, bytes_max={FILE_BYTES_MAX}")
    return data


def create_keystore(path: Path, data: bytes) -> None:
    """Write a new keystore file; RefuseError if there is one of this name, whoever was first."""

    def publish(draft: Path) -> None:
        os.link(draft, path)  # unlike a rename, never over an existing file
        os.unlink(draft)

    _write(path, data, publish)


def replace_keystore(path: Path, data: bytes) -> None:
    """Put a keystore file in the place of the old one: whoever looks sees one or the other."""
    _write(path, data, lambda draft: os.replace(draft, path))


def keystores_in(directory: Path) -> list[Path]:
    """Return the keystore files of a directory by name; none if there is no such directory."""
    return sorted(path for path in directory.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def _open_unfollowed(path: str, flags: int) -> int:
    # O_NONBLOCK: opening a pipe in its place must not wait for a writer.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _check_private(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RefuseError(f"keystore must be a regular file: file={path}")
    if status.st_uid != os.geteuid():
        raise RefuseError(
            f"keystore must be ours: file={path}, owner={status.st_uid}, we={os.geteuid()}"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise RefuseError(
            f"keystore must be its owner's alone (chmod 600): file={path}, mode={mode:03o}"
        )


def _write(path: Path, data: bytes, publish: Callable[[Path], None]) -> None:
    """Write a private draft beside `path`, sync it, publish it and sync the directory."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            publish(draft)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
        _sync_directory(path.parent)
    except FileExistsError:
        raise RefuseError(f"keystore exists already: file={path}") from None
    except OSError as error:
        raise RefuseError(f"keystore cannot be written: file={path}, {error.strerror}") from None


def _sync_directory(directory: Path) -> None:
    """Make names in a directory as durable as the files they name."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
