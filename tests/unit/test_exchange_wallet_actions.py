"""Wallet calls on the exchange: their effects, all or nothing, and what is not carried."""

from __future__ import annotations

import pytest
from exchange_support import CASH_MICROS, CONDITION, Hand
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange import contracts
from engine.exchange.accounts import CASH
from engine.exchange.wallet_actions import CallBlocked, CallFailed, WalletActions
from signer.abi import call_data
from signer.contracts import exchange_address
from signer.eip712 import address_word, uint_word
from signer.wallet_calls import (
    WalletCall,
    ctf_merge,
    ctf_redeem,
    ctf_split,
    erc20_approve,
    erc1155_set_approval_for_all,
)

CONDITION_BYTES = bytes.fromhex(CONDITION[2:])
ADAPTER, PUSD = contracts.CTF_ADAPTER, contracts.COLLATERAL


def split(amount: int) -> WalletCall:
    """Return a call that makes full sets."""
    return ctf_split(ADAPTER, PUSD, CONDITION_BYTES, amount)


def run(hand: Hand, *calls: WalletCall) -> WalletActions:
    """Make calls of the first account happen."""
    actions = WalletActions(hand.venue)
    actions.run(hand.account, actions.read(calls), "0xhash")
    return actions


def test_split_and_merge_keep_value():
    """A full set costs one pUSD and is worth one; both are remembered."""
    hand = Hand()
    up, down = hand.listing.market.tokens
    merge = ctf_merge(ADAPTER, PUSD, CONDITION_BYTES, 2_000_000)
    actions = run(hand, split(5_000_000), merge)
    assert [hand.account.balance(token) for token in (up, down)] == [3_000_000] * 2
    assert hand.account.balance(CASH) == CASH_MICROS - 3_000_000
    assert [(a.kind, a.amount) for a in actions.actions] == [
        ("SPLIT", 5_000_000),
        ("MERGE", 2_000_000),
    ]


def test_a_failing_call_undoes_the_batch():
    """The second call cannot be paid: neither happens, and nothing is remembered."""
    hand = Hand()
    actions = WalletActions(hand.venue)
    steps = actions.read([split(5_000_000), split(CASH_MICROS)])
    with pytest.raises(CallFailed, match="exceeds balance"):
        actions.run(hand.account, steps, "0xhash")
    assert hand.account.balance(CASH) == CASH_MICROS
    assert hand.account.balance(hand.listing.market.tokens[0]) == 0
    assert actions.actions == []


def test_what_orders_hold_cannot_leave():
    """pUSD held by an open order is not there to split."""
    hand = Hand()
    hand.show()
    hand.account.hold(CASH, CASH_MICROS - 1_000_000)
    actions = WalletActions(hand.venue)
    with pytest.raises(CallFailed):
        actions.run(hand.account, actions.read([split(2_000_000)]), "0xhash")


def test_redeeming_waits_for_the_result():
    """Before the result it reverts; after the payout nothing is left, and that is no error."""
    hand = Hand()
    run(hand, split(5_000_000))
    redeem = ctf_redeem(ADAPTER, PUSD, CONDITION_BYTES)
    with pytest.raises(CallFailed, match="not received yet"):
        run(hand, redeem)
    hand.wait(900_001)
    assert hand.account.balance(CASH) == CASH_MICROS
    assert run(hand, redeem).actions == []


def test_approvals_and_transfers():
    """Approving an exchange sets the allowance, others and operators are taken for granted."""
    hand = Hand()
    exchange = exchange_address(2, 137, False)
    transfer = WalletCall(
        PUSD,
        call_data("transfer(address,uint256)", address_word("0x" + "77" * 20), uint_word(9)),
    )
    run(
        hand,
        erc20_approve(PUSD, exchange, 1_000),
        erc20_approve(PUSD, ADAPTER, 5),
        erc1155_set_approval_for_all(contracts.CONDITIONAL_TOKENS, exchange),
        transfer,
    )
    assert hand.account.allowance == 1_000
    receiver = hand.accounts.find("0x" + "77" * 20)
    assert receiver is not None
    assert receiver.balance(CASH) == 9


@given(st.binary(max_size=200), st.sampled_from([ADAPTER, PUSD, contracts.ROUTER, "0x" + "9" * 40]))
def test_any_other_call_is_blocked(data: bytes, target: str):
    """Arbitrary call data to any contract is refused by name and never raises anything else."""
    actions = WalletActions(Hand().venue)
    with pytest.raises(CallBlocked):
        actions.read([WalletCall(target, data)])
