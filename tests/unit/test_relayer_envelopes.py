"""What is refused before it is signed, and how calls are packed."""

from __future__ import annotations

import pytest

from signer import relayer, wallet_calls
from signer.ecdsa import SigningKey
from signer.position_ids import Position, decode_position_id, padded_condition_id
from signer.session_keys import wrap_session_signature
from signer.wallet_calls import WalletCall

TOKEN = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
ROUTER = "0x12121212006e4CD160D18e3f00711DA5c3372600"
CANARY = 663574927012476832975694178961957910328055987427402067619466963999000625153


def test_one_call_of_a_safe_is_made_by_the_safe_itself() -> None:
    """Several go through the multisend contract in one delegate call, in order."""
    first = wallet_calls.erc20_approve(TOKEN, ROUTER, 7)
    second = wallet_calls.router_split(ROUTER, bytes(31), 9)
    assert relayer.safe_transaction([first]) == (first, 0)
    packed = relayer.safe_transaction([first, second])
    assert packed.operation == 1
    assert packed.call.to == relayer.SAFE_MULTISEND
    assert packed.call.value == 0
    assert packed.call.data.index(first.data) < packed.call.data.index(second.data)


def test_nothing_is_signed_for_nothing() -> None:
    """A transaction without calls is refused for each kind of wallet that packs them."""
    with pytest.raises(ValueError, match="at least one call"):
        relayer.safe_transaction([])
    with pytest.raises(ValueError, match="at least one call"):
        relayer.proxy_call_data([])


def test_the_two_forms_of_a_condition_id_are_not_taken_for_each_other() -> None:
    """The router takes 31 bytes and Conditional Tokens 32: the other form is refused."""
    with pytest.raises(ValueError, match="has 31 bytes: bytes=32"):
        wallet_calls.router_merge(ROUTER, bytes(32), 1)
    with pytest.raises(ValueError, match="has 32 bytes: bytes=31"):
        wallet_calls.ctf_redeem(ROUTER, TOKEN, bytes(31))


def test_amounts_and_outcomes_out_of_range_are_refused() -> None:
    """An amount is an unsigned 256-bit number and an outcome 0 or 1."""
    for amount in (-1, 1 << 256):
        with pytest.raises(ValueError, match="256-bit"):
            wallet_calls.erc20_approve(TOKEN, ROUTER, amount)
    with pytest.raises(ValueError, match="outcome=2"):
        wallet_calls.router_redeem(ROUTER, bytes(31), 2, 1)


def test_an_approval_can_be_taken_back() -> None:
    """Revoking is the same call with false."""
    given = wallet_calls.erc1155_set_approval_for_all(TOKEN, ROUTER)
    taken = wallet_calls.erc1155_set_approval_for_all(TOKEN, ROUTER, approved=False)
    assert given.data[:-1] == taken.data[:-1]
    assert (given.data[-1], taken.data[-1]) == (1, 0)


def test_a_safe_tells_personal_signatures_by_their_v() -> None:
    """v of a Safe's owner is 31 or 32, never 27 or 28."""
    key = SigningKey(bytes(31) + b"\x01")
    transaction = relayer.safe_transaction([WalletCall(TOKEN, b"")])
    seen = {relayer.sign_safe(key, transaction, ROUTER, nonce, 137)[64] for nonce in range(20)}
    assert seen == {31, 32}


def test_a_session_signature_names_its_signer_and_ends_with_the_mark() -> None:
    """The envelope holds the signer, no second word, the signature, and 6492 sixteen times."""
    wrapped = wrap_session_signature(TOKEN, b"\x07" * 317)
    assert wrapped[12:32].hex() == TOKEN[2:].lower()
    assert wrapped[32:64] == bytes(32)
    assert wrapped[128 : 128 + 317] == b"\x07" * 317
    assert wrapped[-32:] == bytes.fromhex("6492" * 16)
    assert len(wrapped) % 32 == 0


def test_a_position_id_says_its_condition_and_outcome() -> None:
    """The canary market's Down token, as it was seen on the venue."""
    found = decode_position_id(CANARY)
    condition = "017791f201d5a788e0039e511fc1900e5f" + "00" * 14
    assert found == Position(bytes.fromhex(condition), 1)
    assert padded_condition_id(found.condition_id).hex() == condition + "00"


@pytest.mark.parametrize(
    ("token_id", "reason"),
    [
        (CANARY | 1 << 50, "bits 40…103 zero"),
        (-1, "bits 40…103 zero"),
        (1 << 256, "bits 40…103 zero"),
        (9 << 248, "module=9"),
        ((1 << 248) + 2, "outcome=2"),
    ],
)
def test_what_is_no_position_is_refused(token_id: int, reason: str) -> None:
    """Another layout, module or outcome is never read as a position."""
    with pytest.raises(ValueError, match=reason):
        decode_position_id(token_id)
