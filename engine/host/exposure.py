"""Secrets where they do not belong: the environment and the command line of a process.

Both are readable by others (`/proc/PID/environ`, `ps`), inherited by every child, and kept by shell
histories and service managers. What is found there is refused, not used.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence

from engine.host.errors import RefuseError

# How bots and the venue's own clients call what should never have been a variable.
_WORDS = r"PRIVATE_?KEY|PK|MNEMONIC|SEED_?PHRASE|API_?KEY|SECRET|PASS_?PHRASE|PASSWORD"
_NAMES = re.compile(
    rf"POLY_.+|(?:HALFTICK|POLYMARKET|CLOB)_(?:.+_)?(?:{_WORDS})"
    r"|(?:.+_)?PRIVATE_?KEY|PK|MNEMONIC|SEED_?PHRASE"
)
_KNOWN_CHARS_MIN = 8  # shorter ones are part of too much
_KEY = re.compile(r"(?:.*=)?(?:0[xX])?[0-9a-fA-F]{64}")


def refuse_exposed(
    known: Iterable[str] = (),
    *,
    environment: Mapping[str, str] = os.environ,
    arguments: Sequence[str] | None = None,
) -> None:
    """Refuse to go on with a secret in the environment or on the command line (sys.argv).

    known: secrets that must appear in neither, as part of anything, in any case.  Otherwise a
    variable is told by its name, an argument by looking like a private key.  Raises RefuseError
    naming the variable or the argument's position, and quoting neither.
    """
    secrets = [secret.lower() for secret in known if len(secret) >= _KNOWN_CHARS_MIN]
    for name, value in environment.items():
        is_known = any(secret in value.lower() for secret in secrets)
        if is_known or (value and _NAMES.fullmatch(name.upper())):
            raise RefuseError(
                f"a secret must not be in the environment, unset it and use a keystore: "
                f"variable={name}"
            )
    for position, argument in enumerate(sys.argv if arguments is None else arguments):
        is_known = any(secret in argument.lower() for secret in secrets)
        if is_known or _KEY.fullmatch(argument):
            raise RefuseError(
                "a secret must not be on the command line, where others can read it; it counts as "
                f"stolen now: argument={position}"
            )
