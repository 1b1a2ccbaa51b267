"""A private key and what goes with it, taken from wherever its owner has it, and wiped after use.

Sources are those of `secret_input`, and a Web3 key file. Errors are RefuseErrors that say what
should have been there, and never quote what was.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.cli.secret_input import ask_secret, new_passphrase
from engine.host import proc
from engine.host.errors import RefuseError
from engine.host.exposure import refuse_exposed
from engine.host.secret_bytes import read_secret, wipe
from engine.host.secrets import ApiCredentials
from signer.ecdsa import SECRET_BYTES
from signer.keystore import KeyMaterial
from signer.web3_keystore import decrypt_web3, read_web3


def guard_process() -> None:
    """Make this process one that may hold a key: unreadable, without a core, without leaks."""
    proc.hide_memory()
    proc.restrict_files()
    refuse_exposed()
    if not proc.lock_memory():
        print(
            "halftick keys: warning: memory may be swapped out, the limit on locked memory is "
            "too low (ulimit -l)",
            file=sys.stderr,
        )


@contextlib.contextmanager
def material_of(
    private_key: bytearray,
    signature_type: int | None,
    funder: str | None,
    api_fd: int | None = None,
    api: ApiCredentials | None = None,
) -> Iterator[KeyMaterial]:
    """Hold a key with what goes with it for the length of a block; wiped whatever happens.

    api: what the key has already; replaced by what `api_fd` gives.
    """
    try:
        if api_fd is not None:
            api = _read_api(api_fd)
        try:
            material = KeyMaterial.of(private_key, signature_type or 0, funder, api)
        except ValueError as error:
            raise RefuseError(f"these do not make a wallet: {error}") from None
        yield material
    finally:
        wipe(private_key)


def typed_key(descriptor: int | None) -> bytearray:
    """Return a private key given as hex, typed or from a descriptor."""
    what = "private key"
    text = ask_secret(what) if descriptor is None else read_secret(descriptor, what)
    try:
        return bytearray.fromhex(text.decode("ascii").strip().removeprefix("0x"))
    except ValueError:
        raise RefuseError(f"a private key is {2 * SECRET_BYTES} hex digits") from None
    finally:
        wipe(text)


def web3_key(path: Path, passphrase_fd: int | None) -> bytearray:
    """Return the private key in a Web3 key file, whose passphrase is typed or read from there."""
    text = read_web3(path)
    what = f"passphrase of {path.name}"
    secret = ask_secret(what) if passphrase_fd is None else read_secret(passphrase_fd, what)
    try:
        return decrypt_web3(text, secret, path)
    finally:
        wipe(secret)


@contextlib.contextmanager
def sealing_passphrase(name: str, descriptor: int | None) -> Iterator[bytearray]:
    """Hold a passphrase to seal with for the length of a block."""
    secret = new_passphrase(descriptor, f"new passphrase for {name}")
    try:
        yield secret
    finally:
        wipe(secret)


def _read_api(descriptor: int) -> ApiCredentials:
    text = read_secret(descriptor, "API credentials")
    try:
        return msgspec.json.decode(text, type=ApiCredentials)
    except (ValueError, RecursionError):
        raise RefuseError("API credentials must be JSON: key, secret, passphrase") from None
    finally:
        wipe(text)
