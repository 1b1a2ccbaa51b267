"""Secrets travel once, through a pipe, from the supervisor to the process that needs them.

The text is one JSON object, read to the end from an inherited descriptor whose number is on the
command line. Never in an argument, an environment variable, a file or shared memory; no `repr`
shows one, and an unreadable text is refused without being quoted. In live mode there is no private
key in it: the signer opens the keystore, whose passphrase waits for it in a pipe of its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import msgspec

from engine.host.errors import RefuseError

SECRETS_BYTES_MAX = 64 * 1024  # what a pipe holds: writing never waits for the reader


@dataclass(frozen=True, slots=True)
class ApiCredentials:
    """The venue's API key: may read the account and cancel, cannot move funds."""

    key: str
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """Who trades. private_key is absent everywhere but on its way to the signer."""

    address: str
    funder: str
    api: ApiCredentials
    signature_type: int = 0
    private_key: str | None = field(default=None, repr=False)

    def without_key(self) -> Account:
        """Return the account as everyone but the signer may see it."""
        return replace(self, private_key=None)


@dataclass(frozen=True, slots=True)
class SealedKey:
    """What the signer is given in live mode in place of a private key: it opens the file itself.

    passphrase_fd: the read end of a pipe that holds the passphrase, for one reader to read once.
    """

    keystore: Path
    passphrase_fd: int

    def arguments(self) -> tuple[str, ...]:
        """Return the options that tell a process of it; the descriptor must be inherited."""
        return (
            *("--keystore", str(self.keystore)),
            *("--passphrase-fd", str(self.passphrase_fd)),
        )

    @classmethod
    def of(cls, keystore: Path | None, passphrase_fd: int | None) -> Self | None:
        """Return what the two options say, None for neither; RefuseError for one of them."""
        if keystore is None and passphrase_fd is None:
            return None
        if keystore is None or passphrase_fd is None:
            raise RefuseError("a keystore and its passphrase go together: one option is missing")
        return cls(keystore, passphrase_fd)


def account_of(value: Any) -> Account:
    """Return the account in a decoded JSON object; unknown keys are ignored.

    Raises RefuseError naming what is missing or of a wrong type, without quoting any value.
    """
    try:
        return msgspec.convert(value, Account)
    except msgspec.ValidationError as error:
        raise RefuseError(f"account is not complete: {error}") from None


def send_secrets(account: Account) -> int:
    """Return the read end of a pipe that holds the account; the caller passes and closes it."""
    text = msgspec.json.encode(
        {key: value for key, value in msgspec.to_builtins(account).items() if value is not None}
    )
    assert len(text) <= SECRETS_BYTES_MAX, f"secrets too long: bytes={len(text)}"
    source, target = os.pipe()
    try:
        os.write(target, text)
    finally:
        os.close(target)
    return source


def read_secrets(descriptor: int) -> Account:
    """Return the account waiting in an inherited descriptor, and close it.

    Raises RefuseError if the descriptor is not open, or its text is not an account.
    """
    try:
        with os.fdopen(descriptor, "rb") as source:
            text = source.read(SECRETS_BYTES_MAX + 1)
    except OSError as error:
        raise RefuseError(
            f"secrets cannot be read: descriptor={descriptor}, {error.strerror}"
        ) from None
    try:
        return account_of(msgspec.json.decode(text))
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested beyond reason
        raise RefuseError(
            f"secrets are not JSON: descriptor={descriptor}, bytes={len(text)}"
        ) from None
