"""Going live: what must be said, known and checked before anything is started.

Two acts that do not follow from each other: the configuration says `mode = "live"` and names a key;
the command line says `--live` and the wallet's address. Then the passphrase is read, put into two
pipes and forgotten. One is for a process that examines the account and says who trades
(`signer.preflight`), the other for the signer. Nobody else ever has the private key.

```
live.flag      --live is on the command line
live.wallet    the address of the wallet that pays was typed, there or here
live.fused     --accept-fused, where the key would lie beside what parses the venue's frames
live.exposed   no secret is in the environment or on the command line
and every check of `halftick doctor`, by its own id
```
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.cli.keyring import Keyring
from engine.cli.secret_input import passphrase
from engine.host import plan, proc
from engine.host.config.schema import Settings
from engine.host.errors import Exit, HostError, RefuseError
from engine.host.exposure import refuse_exposed
from engine.host.secret_bytes import hand_on, wipe
from engine.host.secrets import Account, SealedKey
from signer.keystore import Header
from signer.preflight import Found, Verdict

PREFLIGHT_S_MAX = 120.0


@dataclass(frozen=True, slots=True)
class Consent:
    """What the command line says about real money. wallet: empty = ask at the terminal."""

    is_live: bool = False
    wallet: str = ""
    accepts_fused: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """Who trades, without the key; what the signer opens; what the checks had to say."""

    account: Account
    sealed: SealedKey
    findings: tuple[Found, ...]


def refuse_stray(consent: Consent) -> None:
    """Refuse consent to live trading where the configuration is for paper: one is wrong."""
    if consent != Consent():
        raise RefuseError(
            'live.flag: consent to live trading, but the configuration is mode="paper"'
        )


def admit(settings: Settings, consent: Consent, passphrase_fd: int | None) -> Admission:
    """Return what a live run needs, once everything that must be said and checked was.

    Asks for the passphrase, and for the wallet where the command line does not name it. Raises
    RefuseError with a line for each check that does not pass, beginning with the check's id.
    """
    proc.hide_memory()  # our pipes and our memory are not for other processes of this user
    proc.restrict_files()
    try:
        refuse_exposed()
    except RefuseError as error:
        raise RefuseError(f"live.exposed: {error}") from None
    name = settings.signer.key
    assert name is not None, "a live configuration names its key"
    keystores = settings.signer.keystores
    keyring = Keyring.at(Path(keystores).expanduser().absolute() if keystores else None)
    header = keyring.header(name)
    _refuse_without_consent(settings, consent, header)
    secret = passphrase(passphrase_fd, f"passphrase of {name}")
    try:
        for_preflight, for_signer = hand_on(secret), hand_on(secret)
    finally:
        wipe(secret)
    sealed = SealedKey(keyring.path(name), for_signer)
    try:
        verdict = _examine(settings, SealedKey(sealed.keystore, for_preflight))
        return Admission(_account(verdict, header), sealed, verdict.findings)
    except BaseException:
        os.close(for_signer)
        raise


def _refuse_without_consent(settings: Settings, consent: Consent, header: Header) -> None:
    missing = []
    if not consent.is_live:
        missing.append("live.flag: real money takes a second word: --live is missing")
    if settings.run.profile == "fused" and not consent.accepts_fused:
        missing.append(
            "live.fused: this profile keeps the key in the process that parses the venue's frames: "
            "--accept-fused is missing"
        )
    wallet = consent.wallet
    if not missing and not wallet and sys.stdin.isatty():
        wallet = _ask_wallet(settings)
    if wallet.strip().lower() != header.funder.lower():
        # Neither is quoted: the one may be a secret in the wrong place, the other is to be known.
        missing.append(
            f"live.wallet: --confirm-wallet must be the wallet that pays with this key, see "
            f"`halftick keys list`: key={settings.signer.key}, given={'yes' if wallet else 'no'}"
        )
    if missing:
        raise RefuseError("\n".join(missing))


def _ask_wallet(settings: Settings) -> str:
    """Say what is about to happen, and return what the person types."""
    signer = settings.signer
    print(
        f"Live trading with real money: run={settings.run.name}, key={signer.key}, "
        f"venue={settings.venue.rest_url}, order_usd_max={signer.order_notional_usd_max}, "
        f"daily_usd_max={signer.daily_notional_usd_max or 'any'}\n"
        "Type the address of the wallet that pays: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline()


def _examine(settings: Settings, sealed: SealedKey) -> Verdict:
    """Have the account examined in a process of its own, which alone has the key."""
    command = [
        *plan.python_command("-m", "signer.preflight", *sealed.arguments()),
        *("--rest-url", settings.venue.rest_url, "--chain-id", str(settings.venue.chain_id)),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(plan.installation())},
            pass_fds=[sealed.passphrase_fd],
            timeout=PREFLIGHT_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"account was not examined in time: seconds={PREFLIGHT_S_MAX}") from None
    except OSError as error:
        raise HostError(f"account cannot be examined: {error.strerror}") from None
    finally:
        os.close(sealed.passphrase_fd)
    if done.returncode != Exit.CLEAN:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        kind = RefuseError if done.returncode == Exit.REFUSED else HostError
        raise kind(words[-1] if words else f"examination ended: exit_code={done.returncode}")
    try:
        return msgspec.json.decode(done.stdout, type=Verdict)
    except ValueError:
        raise HostError("account was examined, and the answer cannot be read") from None


def _account(verdict: Verdict, header: Header) -> Account:
    """Return who trades; RefuseError with a line for each obstacle."""
    account = verdict.account
    if verdict.obstacles or account is None:
        lines = [f"{each.id}: {each.level}: {each.text}" for each in verdict.obstacles]
        raise RefuseError("\n".join(lines) or "account was examined, and nobody may trade")
    if account.private_key is not None or account.funder.lower() != header.funder.lower():
        raise RefuseError(f"keystore was exchanged meanwhile: wallet={account.funder}")
    return account
