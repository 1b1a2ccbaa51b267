"""Before a live run: who trades, and whether anything keeps them from it.

`python -m signer.preflight --keystore FILE --passphrase-fd N --rest-url URL --chain-id N`

A process of its own that lives for a second. It opens the keystore, makes every check of the
doctor, takes the API credentials from the keystore or has the venue derive them from the key, and
says who trades: one JSON object on stdout, which must not be a terminal. The private key stays in
here and is gone with the process; whoever starts it learns no more than the credentials that may
read the account and cancel.

```
{"account": {"address", "funder", "signature_type", "api": {"key", "secret", "passphrase"}} | null,
 "findings": [{"id", "level", "text"}, …], "obstacles": [those of them that forbid trading]}
```
The account is null where there is an obstacle. Exit codes: 0 said so, 78 the keystore
does not open or a secret is where others can read it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.host import proc
from engine.host.errors import Exit, HostError, RefuseError
from engine.host.exposure import refuse_exposed
from engine.host.loopback import is_loopback
from engine.host.secrets import Account, ApiCredentials
from signer import auth
from signer.doctor.examine import Examination, Patient
from signer.doctor.findings import Finding, obstacles
from signer.doctor.venues import geoblock_url_of
from signer.keystore import KeyMaterial
from signer.opening import opened


class Found(msgspec.Struct, frozen=True):
    """One check, as it is told to a person."""

    id: str
    level: str
    text: str


class Verdict(msgspec.Struct, frozen=True):
    """What is said on stdout. account: without its key; None where something forbids to trade."""

    account: Account | None
    findings: tuple[Found, ...]
    obstacles: tuple[Found, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Examine one account and say what was found; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m signer.preflight", description="Examine who is about to trade live."
    )
    parser.add_argument("--keystore", type=Path, required=True, help="the file to take the key of")
    parser.add_argument("--passphrase-fd", type=int, required=True, help="where its passphrase is")
    parser.add_argument("--rest-url", required=True, help="the venue")
    parser.add_argument("--chain-id", type=int, required=True, help="the chain we sign for")
    chosen = parser.parse_args(arguments)
    proc.hide_memory()
    proc.restrict_files()
    proc.lock_memory()
    try:
        if sys.stdout.isatty():
            raise RefuseError("credentials would be shown on the terminal: stdout must be a pipe")
        with opened(chosen.keystore, chosen.passphrase_fd) as material:
            _refuse_exposed(material)
            verdict = examine(material, chosen.rest_url, chosen.chain_id)
    except HostError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    sys.stdout.buffer.write(msgspec.json.encode(verdict))
    return int(Exit.CLEAN)


def examine(material: KeyMaterial, rest_url: str, chain_id: int) -> Verdict:
    """Return what the doctor finds of an account at a venue, and the account if it may trade."""
    own = material.api
    key = material.signing_key()
    try:
        examination = Examination(
            Patient(
                key=key,
                chain_id=chain_id,
                venue_url=rest_url,
                geoblock_url=geoblock_url_of(rest_url),
                api=auth.ApiCredentials(own.key, own.secret, own.passphrase) if own else None,
                signature_type=material.signature_type,
                funder=material.funder,
                is_local=is_loopback(rest_url),
                creates_key=True,
            )
        )
        findings = list(examination.findings())
    except ValueError as error:  # an address of the chain that nobody knows
        raise RefuseError(f"account cannot be examined: {error}") from None
    finally:
        key.wipe()
    forbidding = obstacles(findings)
    account = None
    taken = examination.credentials
    if not forbidding and taken is not None:
        api = ApiCredentials(taken.key, taken.secret, taken.passphrase)
        account = Account(material.address, material.funder, api, material.signature_type)
    return Verdict(account, _told(findings), _told(forbidding))


def _told(findings: Sequence[Finding]) -> tuple[Found, ...]:
    return tuple(Found(each.id, each.level, each.text) for each in findings)


def _refuse_exposed(material: KeyMaterial) -> None:
    """Refuse what the key holds in our environment, or on the command line that started us."""
    try:
        started_us = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().split(b"\0")
    except OSError:
        started_us = []
    arguments = [each.decode("utf-8", "replace") for each in started_us]
    refuse_exposed(material.texts(), arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
