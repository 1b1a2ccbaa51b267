"""What keeps `halftick run` from trading live: each check by its name, exit code 78, no process."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from live_venue import HALFTICK, KEY_NAME, ROOT, pipe_of
from toys import runtime_root

from engine.cli.keyring import Keyring
from engine.host.clock import Clock
from engine.host.config.load import load_settings
from engine.host.errors import RefuseError
from engine.host.runfile import RunFile
from engine.host.secrets import Account, ApiCredentials, SealedKey
from engine.host.supervisor import Supervisor
from signer.keystore import Cost, KeyMaterial
from signer.opening import wallet_of

__all__ = ["runtime_root"]
PASSPHRASE = "a passphrase of marked words"
PRIVATE_KEY = bytes(range(1, 33))
DEADLINE_S = 60.0
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def config(tmp_path: Path, runtime_root: Path) -> Path:
    """A live configuration at a venue that is not there, and its keystore."""
    material = KeyMaterial.of(bytearray(PRIVATE_KEY))
    keyring = Keyring(tmp_path / "keys")
    keyring.add(KEY_NAME, material, bytearray(PASSPHRASE.encode()), Cost(1024, 1, 1))
    file = tmp_path / "live.toml"
    file.write_text(f"""
[run]
name = "live"
directory = "{tmp_path / "state"}"
mode = "live"
[venue]
rest_url = "http://{NOWHERE}"
market_ws_url = "ws://{NOWHERE}"
user_ws_url = "ws://{NOWHERE}"
gamma_url = "http://{NOWHERE}"
[markets]
slugs = ["a"]
[feeds.market]
feeds = ["gamma", "clob_market", "clob_user"]
[signer]
key = "{KEY_NAME}"
keystores = "{tmp_path / "keys"}"
""")
    return file


def wallet(config: Path) -> str:
    """Return the address of the configured key."""
    return Keyring(config.parent / "keys").header(KEY_NAME).funder


def refused(config: Path, *arguments: str, passphrase: str = PASSPHRASE, **more: str) -> list[str]:
    """Run live, expect a refusal before anything was started; return its lines."""
    source = pipe_of(passphrase)
    try:
        done = subprocess.run(
            [*HALFTICK, "run", "--config", str(config), "--passphrase-fd", str(source), *arguments],
            capture_output=True, text=True, timeout=DEADLINE_S, cwd=ROOT, pass_fds=[source],
            stdin=subprocess.DEVNULL, env={**os.environ, **more},
        )  # fmt: skip
    finally:
        os.close(source)
    assert done.returncode == 78, done.stderr
    assert done.stdout == ""
    assert passphrase not in done.stderr
    assert not (config.parent / "state").exists()
    return [line.removeprefix("halftick: ") for line in done.stderr.splitlines()]


def checks(lines: Sequence[str]) -> list[str]:
    """Return the ids of the checks that did not pass."""
    return [line.partition(":")[0] for line in lines]


def test_a_configuration_alone_does_not_trade(config: Path) -> None:
    """Without --live and the wallet's address both are asked for by name."""
    assert checks(refused(config)) == ["live.flag", "live.wallet"]


@pytest.mark.parametrize("confirmed", [(), ("--confirm-wallet", "0x" + "12" * 20)])
def test_the_flag_alone_does_not_trade_either(config: Path, confirmed: tuple[str, ...]) -> None:
    """--live without the wallet's address is refused, and so it is with another wallet's."""
    assert checks(refused(config, "--live", *confirmed)) == ["live.wallet"]


def test_the_wallet_alone_does_not_trade_either(config: Path) -> None:
    """The right address does not stand for --live."""
    assert checks(refused(config, "--confirm-wallet", wallet(config))) == ["live.flag"]


def test_one_process_for_everything_takes_consent_of_its_own(config: Path) -> None:
    """The fused profile keeps the key beside the feeds: --accept-fused says that it may."""
    config.write_text(config.read_text().replace('"live"\n[', '"live"\nprofile = "fused"\n['))
    lines = refused(config, "--live", "--confirm-wallet", wallet(config))
    assert checks(lines) == ["live.fused"]


def test_consent_to_live_trading_on_paper_is_a_mistake(config: Path) -> None:
    """--live with a paper configuration is refused: one of the two is not what was meant."""
    config.write_text(config.read_text().replace('mode = "live"', 'mode = "paper"'))
    assert checks(refused(config, "--live")) == ["live.flag"]


def test_a_key_in_the_environment_is_refused(config: Path) -> None:
    """A variable that is called like a key counts as one, whatever it is for."""
    consent = ("--live", "--confirm-wallet", wallet(config))
    (line,) = refused(config, *consent, POLYMARKET_PRIVATE_KEY="0x1")
    assert line.startswith("live.exposed: ")
    assert "POLYMARKET_PRIVATE_KEY" in line


def test_a_key_on_the_command_line_is_refused(config: Path) -> None:
    """It counts as stolen, and is not repeated."""
    (line,) = refused(config, "--live", "--confirm-wallet", "0x" + PRIVATE_KEY.hex())
    assert line.startswith("live.exposed: ")
    assert PRIVATE_KEY.hex() not in line


def test_what_the_keystore_holds_is_not_in_the_environment_either(config: Path) -> None:
    """A variable with a harmless name and an API secret in it is found once the keystore opens."""
    keyring = Keyring(config.parent / "keys")
    api = ApiCredentials("id", "YSBtYXJrZWQgc2VjcmV0", "a marked api passphrase")
    material = KeyMaterial.of(bytearray(PRIVATE_KEY), api=api)
    keyring.replace(KEY_NAME, material, bytearray(PASSPHRASE.encode()), Cost(1024, 1, 1))
    consent = ("--live", "--confirm-wallet", wallet(config))
    (line,) = refused(config, *consent, NOTE=f"<{api.secret}>")
    assert "variable=NOTE" in line
    assert api.secret not in line


def test_a_wrong_passphrase_names_the_keystore(config: Path) -> None:
    """The keystore stays shut, in one line."""
    consent = ("--live", "--confirm-wallet", wallet(config))
    (line,) = refused(config, *consent, passphrase="another passphrase")
    assert "passphrase wrong or file altered" in line
    assert f"{KEY_NAME}.keystore" in line


def test_the_doctors_obstacles_are_told_by_name(config: Path) -> None:
    """A venue that is not there: every check that must pass and cannot is a line of its own."""
    lines = refused(config, "--live", "--confirm-wallet", wallet(config).lower())
    assert checks(lines)[0] == "venue.reachable"
    assert {"venue.order_version", "clock.skew", "auth.api_key"} <= set(checks(lines))


def test_a_person_types_wallet_and_passphrase(config: Path) -> None:
    """At a terminal both are asked for, in this order, and the passphrase is not shown."""
    person, screen = pty.openpty()
    command = [*HALFTICK, "run", "--config", str(config), "--live"]
    process = subprocess.Popen(
        command, stdin=screen, stdout=screen, stderr=screen, cwd=ROOT, start_new_session=True
    )
    os.close(screen)
    shown = ""

    def read() -> bool:
        nonlocal shown
        if not select.select([person], [], [], DEADLINE_S)[0]:
            return False
        try:
            text = os.read(person, 4096).decode()
        except OSError:  # the other end is gone
            return False
        shown += text
        return bool(text)

    for prompt, answer in (
        ("wallet that pays:", wallet(config)),
        (f"passphrase of {KEY_NAME}:", PASSPHRASE),
    ):
        while not shown.rstrip().endswith(prompt):
            assert read(), shown
        os.write(person, answer.encode() + b"\n")
    while read():
        pass
    os.close(person)
    assert process.wait(DEADLINE_S) == 78
    assert "order_usd_max=20" in shown
    assert "venue.reachable" in shown
    assert PASSPHRASE not in shown


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (f'key = "{KEY_NAME}"', "", "signer.key must name a key"),
        (f"http://{NOWHERE}", "http://clob.example", "venue.rest_url must be encrypted"),
        (f"ws://{NOWHERE}", "ws://ws.example", "venue.user_ws_url must be encrypted"),
        (', "clob_user"', "", "must have the feed clob_user"),
        ("[signer]", "[signer]\ndaily_notional_usd_max = 0", "daily_notional_usd_max"),
    ],
)
def test_a_configuration_unfit_for_live_is_refused(
    config: Path, before: str, after: str, complaint: str
) -> None:
    """What a live run needs is said where the configuration is read, by `config check` too."""
    config.write_text(config.read_text().replace(before, after))
    (line,) = refused(config)
    assert complaint in line


@pytest.mark.parametrize(
    ("mode", "has_key", "is_sealed"),
    [("live", True, True), ("live", True, False), ("live", False, False), ("paper", False, True)],
)
def test_a_key_comes_from_one_place(
    config: Path, tmp_path: Path, mode: str, has_key: bool, is_sealed: bool
) -> None:
    """In live mode from the keystore alone, in paper mode with the account alone."""
    settings = load_settings(config).to_json()
    settings["run"]["mode"] = mode
    run = RunFile(1, Clock.anchored().offset_ns, settings, str(tmp_path), runtime_dir=tmp_path)
    key = "0x" + PRIVATE_KEY.hex() if has_key else None
    account = Account(
        wallet(config), wallet(config), ApiCredentials("k", "c2VjcmV0", "p"), private_key=key
    )
    path = Keyring(tmp_path / "keys").path(KEY_NAME)
    sealed = SealedKey(path, 99) if is_sealed else None
    with pytest.raises(RefuseError, match=f"needs a private key: mode={mode}"):
        wallet_of(run, account, sealed)


def test_a_supervisor_does_not_take_a_live_key(config: Path) -> None:
    """In live mode it refuses to exist with a private key, or without a keystore to hand on."""
    settings = load_settings(config)
    api = ApiCredentials("k", "c2VjcmV0", "p")
    keyless = Account(wallet(config), wallet(config), api)
    with_key = Account(wallet(config), wallet(config), api, private_key="0x" + PRIVATE_KEY.hex())
    sealed = SealedKey(config, 99)
    for account, handed_on in ((with_key, sealed), (keyless, None), (None, sealed)):
        with pytest.raises(RefuseError, match="live mode takes its key out of a keystore"):
            Supervisor(settings, account=account, sealed=handed_on)
    Supervisor(settings, account=keyless, sealed=sealed)


def test_a_keystore_that_was_exchanged_is_not_signed_with(config: Path, tmp_path: Path) -> None:
    """The signer trades as the account that was examined, or not at all."""
    settings = load_settings(config).to_json()
    run = RunFile(1, Clock.anchored().offset_ns, settings, str(tmp_path), runtime_dir=tmp_path)
    path = Keyring(tmp_path / "keys").path(KEY_NAME)
    api = ApiCredentials("k", "c2VjcmV0", "p")
    account = Account(wallet(config), wallet(config), api)
    found = wallet_of(run, account, SealedKey(path, pipe_of(PASSPHRASE)))
    assert found.maker == wallet(config)
    another = Account("0x" + "12" * 20, "0x" + "12" * 20, api)
    with pytest.raises(RefuseError, match="not the one that was examined"):
        wallet_of(run, another, SealedKey(path, pipe_of(PASSPHRASE)))


def test_credentials_are_not_shown_on_a_terminal(config: Path) -> None:
    """The examination writes the API credentials to a pipe, and refuses a terminal."""
    person, screen = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "signer.preflight", "--keystore", "x", "--passphrase-fd", "9",
         "--rest-url", f"http://{NOWHERE}", "--chain-id", "137"],
        stdout=screen, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=DEADLINE_S,
    )  # fmt: skip
    os.close(screen)
    os.close(person)
    assert done.returncode == 78
    assert "stdout must be a pipe" in done.stderr
