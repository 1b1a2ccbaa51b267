"""`halftick doctor`: why an account could not trade, before it tries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.console import Console
from rich.text import Text

from engine.cli.keyring import Keyring
from engine.host.config.load import load_settings
from engine.host.errors import Exit, RefuseError
from engine.host.loopback import is_loopback
from engine.host.secret_bytes import read_secret, wipe
from engine.host.secrets import Account, account_of
from signer.auth import ApiCredentials
from signer.doctor.examine import Examination, Patient
from signer.doctor.findings import Finding, Level
from signer.doctor.venues import VENUE_URL, geoblock_url_of
from signer.ecdsa import SigningKey
from signer.keystore import KeyMaterial

_STYLES = {
    Level.OK: "green",
    Level.INFO: "dim",
    Level.WARN: "yellow",
    Level.FAIL: "bold red",
    Level.NOT_CHECKED: "dim",
}


def doctor(
    config: Annotated[Path | None, typer.Option(help="Take venue and chain from there.")] = None,
    key: Annotated[str, typer.Option(help="A key of the keyring, by name.")] = "",
    key_fd: Annotated[
        int | None,
        typer.Option(help="Read a private key, or an account as JSON, from this descriptor."),
    ] = None,
    passphrase_fd: Annotated[
        int | None, typer.Option(help="Read the keyring's passphrase from this descriptor.")
    ] = None,
    directory: Annotated[Path | None, typer.Option(help="The keyring's directory.")] = None,
    rest_url: Annotated[str, typer.Option(help="The venue; overrides the configuration.")] = "",
    rpc_url: Annotated[str, typer.Option(help="A chain node, for what only it can say.")] = "",
    geoblock_url: Annotated[str, typer.Option(help="Where to ask for the geoblock.")] = "",
    chain_id: Annotated[int, typer.Option(help="Without a configuration.")] = 137,
    create_api_key: Annotated[
        bool, typer.Option("--create-api-key", help="Make an API key if there is none.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check everything that keeps an account from trading; exit with 1 where anything fails.

    Derives every wallet the key may have and says which signature type to use and why. The key
    comes from the keyring or from a descriptor, never from an argument or the environment. Nothing
    is changed unless --create-api-key asks for it.
    """
    if config is not None:
        venue = load_settings(config).venue
        rest_url, chain_id = rest_url or venue.rest_url, venue.chain_id
    rest_url = rest_url or VENUE_URL
    if bool(key) == (key_fd is not None):
        raise RefuseError("name one key: --key NAME or --key-fd N")
    with _account(key, key_fd, passphrase_fd, directory) as (signing_key, account):
        patient = Patient(
            key=signing_key,
            chain_id=chain_id,
            venue_url=rest_url,
            geoblock_url=geoblock_url or geoblock_url_of(rest_url),
            rpc_url=rpc_url or None,
            api=_credentials(account),
            signature_type=account.signature_type if account else None,
            funder=account.funder if account else None,
            is_local=is_loopback(rest_url),
            creates_key=create_api_key,
        )
        findings = _examine(patient, None if as_json else Console(highlight=False, soft_wrap=True))
    has_failed = any(finding.level is Level.FAIL for finding in findings)
    if as_json:
        report = {"ok": not has_failed, "checks": [asdict(finding) for finding in findings]}
        sys.stdout.buffer.write(orjson.dumps(report) + b"\n")
    if has_failed:
        raise typer.Exit(Exit.DIRTY)


def _examine(patient: Patient, console: Console | None) -> list[Finding]:
    """Return all findings, each shown as it is made."""
    try:
        examination = Examination(patient)
    except ValueError as error:
        raise RefuseError(str(error)) from None
    findings = []
    for finding in examination.findings():
        findings.append(finding)
        if console is not None:
            level = Text(f"{finding.level:<12}", _STYLES[finding.level])
            console.print(Text.assemble(level, f"{finding.id:<24}", finding.text))
    return findings


@contextmanager
def _account(
    name: str, key_fd: int | None, passphrase_fd: int | None, directory: Path | None
) -> Iterator[tuple[SigningKey, Account | KeyMaterial | None]]:
    """Give the signing key and what is known of its account; the key is wiped afterwards."""
    if key_fd is None:
        with Keyring.at(directory).opened(name, passphrase_fd) as material:
            signing_key = material.signing_key()
            try:
                yield signing_key, material
            finally:
                signing_key.wipe()
        return
    secret = read_secret(key_fd, "private key")
    try:
        signing_key, account = _read_key(secret)
    finally:
        wipe(secret)
    try:
        yield signing_key, account
    finally:
        signing_key.wipe()


def _read_key(secret: bytearray) -> tuple[SigningKey, Account | None]:
    """Return the key in a text: hexadecimal, or an account as JSON. Nothing of it is quoted."""
    account = None
    if secret.lstrip().startswith(b"{"):
        try:
            account = account_of(msgspec.json.decode(bytes(secret)))
        except msgspec.DecodeError:
            raise RefuseError("account is not JSON") from None
    text = (account.private_key or "") if account else secret.decode("ascii", "replace")
    try:
        return SigningKey.from_hex(text.strip()), account
    except ValueError:
        raise RefuseError("private key is not 32 bytes of hexadecimal") from None


def _credentials(account: Account | KeyMaterial | None) -> ApiCredentials | None:
    if account is None or account.api is None:
        return None
    return ApiCredentials(account.api.key, account.api.secret, account.api.passphrase)
