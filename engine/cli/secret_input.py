"""Where a command gets a secret from: a descriptor, a systemd credential, or a person typing.

Never an argument and never the environment. Every secret is a bytearray that its user wipes.
"""

from __future__ import annotations

import getpass
import os
import warnings
from pathlib import Path

from engine.host.errors import RefuseError
from engine.host.secret_bytes import read_secret, read_secret_file, wipe

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
    return read_secret_file(Path(directory) / CREDENTIAL, f"credential {CREDENTIAL}")
