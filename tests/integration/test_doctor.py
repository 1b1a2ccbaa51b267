"""`halftick doctor` against a local exchange, and API keys made and found again there."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from test_exchange_process import exchange

from engine.cli.main import call
from signer import api_keys
from signer.auth import builder_headers, l2_message, relayer_headers, verify_l2
from signer.ecdsa import SigningKey
from signer.rest import RestClient, RestError

CHECKS = {
    "coincurve",
    "venue.reachable",
    "venue.order_version",
    "venue.geoblock",
    "clock.kernel",
    "clock.skew",
    "chain.id",
    "auth.api_key",
    "auth.closed_only",
    "wallet.eoa",
    "wallet.proxy",
    "wallet.safe",
    "wallet.deposit_beacon",
    "wallet.deposit_uups",
    "wallet.signature_type",
    "approvals.trading",
    "approvals.wallet_calls",
}
STRANGER = "0x" + "77" * 32


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor said, by id."""

    code: int
    ok: bool
    checks: dict[str, dict[str, Any]]

    def level(self, check_id: str) -> str:
        """How bad one finding is."""
        return str(self.checks[check_id]["level"])


class Doctor:
    """The command, called in this process; its key comes through a pipe."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    async def __call__(self, secret: str, *arguments: str) -> Report:
        """Examine a key, or an account as JSON."""
        source, target = os.pipe()
        os.write(target, secret.encode())
        os.close(target)
        command = ["doctor", "--json", "--key-fd", str(source), *arguments]
        code = await asyncio.to_thread(call, command)
        out, err = self._capfd.readouterr()
        assert "Traceback" not in err
        for hidden in hidden_in(secret):
            assert hidden not in out + err
        said = json.loads(out)
        return Report(code, said["ok"], {check["id"]: check for check in said["checks"]})


def hidden_in(secret: str) -> Iterator[str]:
    """What must never be printed of what the doctor was given."""
    if not secret.startswith("{"):
        yield secret.removeprefix("0x")
        return
    account = json.loads(secret)
    yield account["private_key"].removeprefix("0x")
    yield account["api"]["secret"]
    yield account["api"]["passphrase"]


@pytest.fixture
def doctor(capfd: pytest.CaptureFixture[str]) -> Doctor:
    """The command."""
    return Doctor(capfd)


async def test_each_kind_of_wallet_is_found_by_its_key_alone(doctor: Doctor) -> None:
    """The signature type and funder it recommends are those the exchange funded."""
    async with exchange("--hold", "--markets", "1") as (ready, _):
        kinds = set()
        for account in ready["accounts"]:
            report = await doctor(account["private_key"], "--rest-url", ready["rest"])
            assert (report.code, report.ok) == (0, True)
            assert report.checks.keys() == CHECKS
            facts = report.checks["wallet.signature_type"]["facts"]
            assert facts["recommended"] == account["signature_type"]
            assert facts["funder"] == account["funder"]
            assert report.checks["auth.api_key"]["facts"]["key"] == account["api"]["key"]
            assert report.level("approvals.trading") == "ok"
            assert report.level("approvals.wallet_calls") == "not checked"
            assert "no RPC URL" in report.checks["chain.id"]["text"]
            kinds.add(facts["recommended"])
        assert kinds == {0, 1, 2, 3}


async def test_a_node_answers_what_only_the_chain_knows(doctor: Doctor) -> None:
    """Approvals of wallet calls are read there, and its chain must be the one we sign for."""
    async with exchange("--hold", "--markets", "1") as (ready, _):
        account = ready["accounts"][-1]
        where = ["--rest-url", ready["rest"], "--rpc-url", ready["chain_rpc"]]
        report = await doctor(json.dumps(account), *where)
        assert report.code == 0
        assert report.level("chain.id") == report.level("approvals.wallet_calls") == "ok"
        other = await doctor(json.dumps(account), *where, "--chain-id", "80002")
        assert (other.code, other.level("chain.id")) == (1, "fail")


async def test_a_wrong_funder_and_a_poorer_wallet_are_told(doctor: Doctor) -> None:
    """A funder that is no wallet of the key fails; one that is not the best is a warning."""
    async with exchange("--hold", "--markets", "1") as (ready, _):
        account = ready["accounts"][1]
        wrong = account | {"funder": "0x" + "11" * 20}
        report = await doctor(json.dumps(wrong), "--rest-url", ready["rest"])
        assert (report.code, report.level("wallet.signature_type")) == (1, "fail")
        poor = account | {"signature_type": 0, "funder": account["address"]}
        report = await doctor(json.dumps(poor), "--rest-url", ready["rest"])
        assert (report.code, report.level("wallet.signature_type")) == (0, "warn")


async def test_a_stranger_has_no_api_key_until_one_is_made(doctor: Doctor) -> None:
    """Deriving finds none and changes nothing; --create-api-key makes one that is found again."""
    async with exchange("--hold", "--markets", "1") as (ready, _):
        where = ["--rest-url", ready["rest"]]
        report = await doctor(STRANGER, *where)
        assert (report.code, report.level("auth.api_key")) == (1, "fail")
        assert report.level("auth.closed_only") == "not checked"
        assert report.checks["wallet.signature_type"]["facts"]["recommended"] == 3
        made = await doctor(STRANGER, *where, "--create-api-key")
        assert made.checks["auth.api_key"]["facts"]["how"] == "created just now"
        found = await doctor(STRANGER, *where)
        assert found.checks["auth.api_key"]["facts"]["how"] == "derived"
        keys = [report.checks["auth.api_key"]["facts"]["key"] for report in (made, found)]
        assert keys[0] == keys[1]


async def test_geoblock_and_closed_only_are_failures(doctor: Doctor) -> None:
    """What the venue holds against a place or an account is named by its own check."""
    async with exchange("--hold", "--markets", "1") as (ready, _):
        account = ready["accounts"][0]
        mode = {"geoblocked": True, "closed_only": [account["address"]]}
        client = RestClient(ready["mode"].removesuffix("/mode"))
        reply = await asyncio.to_thread(client.post, "/mode", orjson.dumps(mode))
        assert reply.status == 200
        report = await doctor(json.dumps(account), "--rest-url", ready["rest"])
        assert report.code == 1
        assert report.level("venue.geoblock") == "fail"
        assert report.level("auth.closed_only") == "fail"


async def test_a_venue_that_is_not_there_fails_one_check_and_skips_the_rest(
    doctor: Doctor, tmp_path: Path
) -> None:
    """Every check is still listed, and what needs no venue is still made."""
    config = tmp_path / "paper.toml"
    config.write_text(
        '[run]\nname = "x"\ndirectory = "x"\n'
        '[venue]\nrest_url = "http://127.0.0.1:1"\nmarket_ws_url = "ws://127.0.0.1:1"\n'
        'user_ws_url = "ws://127.0.0.1:1"\ngamma_url = "http://127.0.0.1:1"\n'
        '[markets]\nslugs = ["x"]\n[feeds.market]\nfeeds = ["gamma"]\n'
    )
    report = await doctor(STRANGER, "--config", str(config))
    assert report.code == 1
    assert report.level("venue.reachable") == "fail"
    assert report.level("coincurve") == "ok"
    assert report.checks.keys() == CHECKS
    skipped = {check for check in report.checks if report.level(check) == "not checked"}
    assert {"clock.skew", "auth.api_key", "venue.geoblock", "approvals.trading"} <= skipped


@pytest.mark.parametrize(
    "arguments", [[], ["--key", "hot", "--key-fd", "0"], ["--rest-url", "http://127.0.0.1:1"]]
)
def test_exactly_one_key_is_named(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """No key, or two: refused before anything is asked."""
    assert call(["doctor", *arguments]) == 78
    assert "name one key" in capfd.readouterr().err


@pytest.mark.parametrize("secret", ["0x12", "{}", "{", "not a key"])
def test_a_bad_key_is_refused_without_being_quoted(
    secret: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line, and nothing of what was given."""
    source, target = os.pipe()
    os.write(target, secret.encode())
    os.close(target)
    assert call(["doctor", "--key-fd", str(source)]) == 78
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "0x12" not in err


async def test_api_keys_are_created_once_and_derived_ever_after() -> None:
    """A second creation is refused by the venue, which means: derive."""
    key = SigningKey.from_hex(STRANGER)
    async with exchange("--hold", "--markets", "1") as (ready, _):
        client = RestClient(ready["rest"])

        def obtain(nonce: int) -> api_keys.Obtained:
            return api_keys.create_or_derive(client, key, 137, nonce)

        assert await asyncio.to_thread(api_keys.derive, client, key, 137) is None
        first, second, other = [await asyncio.to_thread(obtain, nonce) for nonce in (0, 0, 1)]
        assert (first.is_new, second.is_new, other.is_new) == (True, False, True)
        assert first.credentials == second.credentials
        assert first.credentials.key != other.credentials.key
        assert first.credentials.secret not in repr(first)
        with pytest.raises(RestError, match="status=401"):
            await asyncio.to_thread(api_keys.create, client, key, 80002)


def test_a_builder_signs_as_l2_does_under_its_own_names() -> None:
    """Four headers, no address; a relayer key has two."""
    credentials = api_keys.ApiCredentials("key", "c2VjcmV0LXNlY3JldA==", "phrase")
    headers = builder_headers(credentials, 1_784_402_198, "POST", "/submit", b"{}")
    assert headers.keys() == {
        "POLY_BUILDER_API_KEY",
        "POLY_BUILDER_PASSPHRASE",
        "POLY_BUILDER_TIMESTAMP",
        "POLY_BUILDER_SIGNATURE",
    }
    message = l2_message(1_784_402_198, "POST", "/submit", b"{}")
    assert verify_l2(headers["POLY_BUILDER_SIGNATURE"], credentials.secret, message)
    assert relayer_headers("k", "0x1") == {
        "RELAYER_API_KEY": "k",
        "RELAYER_API_KEY_ADDRESS": "0x1",
    }
