"""What an owner may do with a wallet besides trading, as contract calls.

`ctf_*` go to Conditional Tokens or a collateral adapter and take the 32-byte condition id of a
generation-2 market; `router_*` go to the generation-3 router and take the 31-byte one. Amounts are
micros. Source: protocol tables of the official client; checked against its call data.
"""

from __future__ import annotations

from typing import NamedTuple

from signer.abi import Dynamic, call_data, dynamic_array
from signer.eip712 import WORD_BYTES, address_word, uint_word
from signer.position_ids import CONDITION_BYTES

_NO_PARENT = bytes(WORD_BYTES)  # a position of the condition alone, not nested in another


class WalletCall(NamedTuple):
    """One contract call. to: the contract. value: wei."""

    to: str
    data: bytes
    value: int = 0


def erc20_approve(token: str, spender: str, amount: int) -> WalletCall:
    """Allow `spender` to move so much of a token; 0 revokes."""
    return WalletCall(
        token, call_data("approve(address,uint256)", address_word(spender), uint_word(amount))
    )


def erc1155_set_approval_for_all(token: str, operator: str, approved: bool = True) -> WalletCall:
    """Allow `operator` to move all our positions, or no longer."""
    return WalletCall(
        token,
        call_data(
            "setApprovalForAll(address,bool)", address_word(operator), uint_word(int(approved))
        ),
    )


def ctf_split(target: str, collateral: str, condition_id: bytes, amount: int) -> WalletCall:
    """Turn collateral into a full set."""
    return WalletCall(
        target,
        call_data(
            "splitPosition(address,bytes32,bytes32,uint256[],uint256)",
            address_word(collateral),
            _NO_PARENT,
            _condition_word(condition_id, WORD_BYTES),
            _both_outcomes(),
            uint_word(amount),
        ),
    )


def ctf_merge(target: str, collateral: str, condition_id: bytes, amount: int) -> WalletCall:
    """Turn full sets back into collateral."""
    return WalletCall(
        target,
        call_data(
            "mergePositions(address,bytes32,bytes32,uint256[],uint256)",
            address_word(collateral),
            _NO_PARENT,
            _condition_word(condition_id, WORD_BYTES),
            _both_outcomes(),
            uint_word(amount),
        ),
    )


def ctf_redeem(target: str, collateral: str, condition_id: bytes) -> WalletCall:
    """Collect a resolved condition: burns the whole balance of both outcomes."""
    return WalletCall(
        target,
        call_data(
            "redeemPositions(address,bytes32,bytes32,uint256[])",
            address_word(collateral),
            _NO_PARENT,
            _condition_word(condition_id, WORD_BYTES),
            _both_outcomes(),
        ),
    )


def router_split(router: str, condition_id: bytes, amount: int) -> WalletCall:
    """Turn pUSD into a full set of a generation-3 market."""
    return WalletCall(
        router,
        call_data(
            "split(bytes31,uint256)",
            _condition_word(condition_id, CONDITION_BYTES),
            uint_word(amount),
        ),
    )


def router_merge(router: str, condition_id: bytes, amount: int) -> WalletCall:
    """Turn full sets of a generation-3 market back into pUSD."""
    return WalletCall(
        router,
        call_data(
            "merge(bytes31,uint256)",
            _condition_word(condition_id, CONDITION_BYTES),
            uint_word(amount),
        ),
    )


def router_redeem(router: str, condition_id: bytes, outcome_index: int, amount: int) -> WalletCall:
    """Collect so much of one outcome of a resolved generation-3 market."""
    if outcome_index not in (0, 1):
        raise ValueError(f"an outcome is 0 or 1: outcome={outcome_index}")
    return WalletCall(
        router,
        call_data(
            "redeem(bytes31,uint256,uint256)",
            _condition_word(condition_id, CONDITION_BYTES),
            uint_word(outcome_index),
            uint_word(amount),
        ),
    )


def _condition_word(condition_id: bytes, length: int) -> bytes:
    """The two forms name different markets: taking one for the other is refused."""
    if len(condition_id) != length:
        raise ValueError(
            f"a condition id of this market has {length} bytes: bytes={len(condition_id)}"
        )
    return condition_id.ljust(WORD_BYTES, b"\0")


def _both_outcomes() -> Dynamic:
    """Index sets are bit masks: 1 is the first outcome, 2 the second."""
    return dynamic_array([uint_word(1), uint_word(2)])
