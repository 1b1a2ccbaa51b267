"""A directory of keystores, each known by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine.cli.secret_input import passphrase
from engine.host.errors import HostError, RefuseError
from engine.host.secret_bytes import wipe
from signer.keystore import Cost, Header, KeyMaterial, read_header, seal, unseal
from signer.keystore_file import (
    SUFFIX,
    create_keystore,
    keystores_in,
    read_keystore,
    replace_keystore,
)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keystores of one directory. Errors are RefuseErrors that name the file."""

    directory: Path

    @classmethod
    def at(cls, directory: Path | None) -> Keyring:
        """Return the keyring of a directory; None = $XDG_CONFIG_HOME/halftick/keys."""
        if directory is None:
            configuration = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
            directory = Path(configuration) / "halftick" / "keys"
        return cls(directory)

    def names(self) -> list[str]:
        """Return the names of all keystores, in order."""
        return [path.name.removesuffix(SUFFIX) for path in keystores_in(self.directory)]

    def path(self, name: str) -> Path:
        """Return where the key called `name` is, or would be."""
        if not _NAME.fullmatch(name):
            # Not quoted: what is pasted in the wrong place may be a secret.
            raise RefuseError(f"a key's name must match {_NAME.pattern}: characters={len(name)}")
        return self.directory / f"{name}{SUFFIX}"

    def refuse_taken(self, name: str) -> None:
        """Refuse a name that is taken, before anybody types a passphrase for it."""
        if os.path.lexists(self.path(name)):
            raise RefuseError(f"keystore exists already: file={self.path(name)}")

    def header(self, name: str) -> Header:
        """Return what a keystore says of itself; nothing of it is proven."""
        path = self.path(name)
        return read_header(read_keystore(path), path)

    @contextmanager
    def opened(self, name: str, passphrase_fd: int | None = None) -> Iterator[KeyMaterial]:
        """Open a key for the length of a block, asking for its passphrase if need be."""
        path = self.path(name)
        data = read_keystore(path)
        read_header(data, path)  # what cannot be opened anyway is refused before the question
        secret = passphrase(passphrase_fd, f"passphrase of {name}")
        try:
            material = unseal(data, secret, path)
        finally:
            wipe(secret)
        with material:
            yield material

    def add(self, name: str, material: KeyMaterial, secret: bytearray, cost: Cost) -> Header:
        """Write a new keystore, never over another; return its header."""
        data = self._sealed(name, material, secret, cost)
        create_keystore(self.path(name), data)
        return self.header(name)

    def replace(self, name: str, material: KeyMaterial, secret: bytearray, cost: Cost) -> Header:
        """Put a keystore in the place of the old one, in one step; return its header."""
        data = self._sealed(name, material, secret, cost)
        replace_keystore(self.path(name), data)
        return self.header(name)

    def _sealed(self, name: str, material: KeyMaterial, secret: bytearray, cost: Cost) -> bytes:
        """Return a keystore that was opened once: one that does not open would lose the key."""
        path = self.path(name)
        data = seal(material, secret, cost, datetime.now(UTC).isoformat(timespec="seconds"), path)
        with unseal(data, secret, path) as again:
            if again.private_key != material.private_key:
                raise HostError(f"keystore does not hold what was put in: file={path}")
        return data
