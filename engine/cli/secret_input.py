"""Where a command gets a secret from: a descriptor, a systemd credential, or a person typing.

Never an argument and never the environment. Every secret is a bytearray that its user wipes.
"""

from __future__ import annotations

import getpass
import os
import warnings
from io import FileIO
from pathlib import Path

from engine.host.errors import RefuseError
from signer.keystore import wipe

SECRET_BYTES_MAX = 4_096
PASSPHRASE_CHARS_MIN = 12
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"  # systemd's, see LoadCredential=
CREDENTIAL = "halftick-passphrase"


def passphrase(descriptor: int | None, what: str = "passphrase") -> bytearray:
    """Return the passphrase of a keystore that exists.

    From `descriptor` if given, else systemd's credential if there is one, else the terminal.
    Raises RefuseError when none of them gives one.
    """
    if descriptor is not None:
        return read_secret(descriptor, what)
    credential = _credential()
    return credential if credential is not None else ask_secret(what)


def new_passphrase(descriptor: int | None, what: str = "new passphrase") -> bytearray:
    """Return a passphrase to seal with: from `descriptor`, or typed twice.

    Raises RefuseError for one that is too short, or typed differently the second time.
    """
    secret = read_secret(descriptor, what) if descriptor is not None else _ask_twice(what)
    characters = len(secret.decode("utf-8", "replace"))
    if characters < PASSPHRASE_CHARS_MIN:
        wipe(secret)
        raise RefuseError(
            f"{what} is too short: characters={characters}, characters_min={PASSPHRASE_CHARS_MIN}"
        )
    return secret


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


def ask_secret(what: str) -> bytearray:
    """Return what a person types on the terminal without showing it; RefuseError without one."""
    with warnings.catch_warnings():
        # Without a terminal getpass would warn and show what is typed.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            typed = getpass.getpass(f"{what}: ")
        except (getpass.GetPassWarning, EOFError):
            raise RefuseError(
                f"{what} cannot be asked for, there is no terminal: give a descriptor"
            ) from None
    if not typed:
        raise RefuseError(f"{what} is empty")
    return bytearray(typed.encode("utf-8", "surrogateescape"))


def _ask_twice(what: str) -> bytearray:
    first = ask_secret(what)
    second = ask_secret(f"{what} again")
    is_same = first == second
    wipe(second)
    if not is_same:
        wipe(first)
        raise RefuseError(f"{what} was typed differently the second time")
    return first


def _credential() -> bytearray | None:
    """Return the passphrase systemd passes to the service, None if it passes none."""
    directory = os.environ.get(CREDENTIALS_VARIABLE)
    if not directory:
        return None
    path = Path(directory) / CREDENTIAL
    try:
        with path.open("rb", buffering=0) as source:
            return _read(source, f"credential {CREDENTIAL}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RefuseError(f"credential cannot be read: file={path}, {error.strerror}") from None


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
