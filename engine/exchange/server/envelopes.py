"""What the relayer is handed: whose wallet, which calls, and whether their owner signed them.

Three kinds of wallet, three ways to sign (see `signer.relayer`); each ends as a list of calls.
Every malformed envelope is a ValueError. Source: orders.md §7.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.exchange.accounts import WalletKind
from engine.exchange.wallet_actions import Words
from signer.address import parse_address
from signer.ecdsa import recover_address
from signer.relayer import (
    SAFE_MULTISEND,
    ProxyTransaction,
    SafeTransaction,
    WalletBatch,
    personal_digest,
    proxy_hash,
    safe_digest,
    wallet_batch_digest,
)
from signer.wallet_addresses import WalletFactories
from signer.wallet_calls import WalletCall

CALLS_MAX = 100
KINDS = {"WALLET": WalletKind.DEPOSIT, "SAFE": WalletKind.SAFE, "PROXY": WalletKind.PROXY}
SAFE_PERSONAL_V = 4
PACKED_HEAD_BYTES = 85  # multiSend: operation 1, address 20, value 32, length 32


class Envelope(NamedTuple):
    """A verified submission. deadline_s: epoch seconds, 0 = none."""

    kind: WalletKind
    owner: str
    wallet: str
    nonce: int
    calls: tuple[WalletCall, ...]
    deadline_s: int = 0


def open_envelope(
    body: dict[str, Any], chain_id: int, factories: WalletFactories, relay: str
) -> Envelope:
    """Return what a body of `POST /submit` asks for, its signature verified."""
    kind = KINDS[str(body["type"])]
    owner = _address(body["from"])
    signature = _hex(body["signature"])
    if kind is WalletKind.DEPOSIT:
        envelope, digest = _deposit(body, owner, chain_id)
    elif kind is WalletKind.SAFE:
        envelope, digest = _safe(body, owner, chain_id)
        signature = signature[:64] + bytes((signature[64] - SAFE_PERSONAL_V,))
    else:
        envelope, digest = _proxy(body, owner, factories, relay)
    if recover_address(digest, signature).lower() != owner.lower():
        raise ValueError("the signature is not the owner's")
    return envelope


def _deposit(body: dict[str, Any], owner: str, chain_id: int) -> tuple[Envelope, bytes]:
    params = body["depositWalletParams"]
    calls = tuple(
        WalletCall(_address(call["target"]), _hex(call["data"]), _number(call["value"]))
        for call in params["calls"][:CALLS_MAX]
    )
    batch = WalletBatch(
        _address(params["depositWallet"]),
        _number(body["nonce"]),
        _number(params["deadline"]),
        calls,
    )
    envelope = Envelope(
        WalletKind.DEPOSIT, owner, batch.wallet, batch.nonce, calls, batch.deadline_s
    )
    return envelope, wallet_batch_digest(batch, chain_id)


def _safe(body: dict[str, Any], owner: str, chain_id: int) -> tuple[Envelope, bytes]:
    call = WalletCall(_address(body["to"]), _hex(body["data"]), _number(body.get("value", "0")))
    operation = _number(body["signatureParams"]["operation"])
    wallet, nonce = _address(body["proxyWallet"]), _number(body["nonce"])
    digest = safe_digest(SafeTransaction(call, operation), wallet, nonce, chain_id)
    calls: tuple[WalletCall, ...] = (call,)
    if operation:
        if call.to.lower() != SAFE_MULTISEND.lower():
            raise ValueError("the only delegate call is a multisend")
        words = Words(call.data[4:])
        calls = _packed_calls(words.bytes_at(words.number(0)))
    return Envelope(WalletKind.SAFE, owner, wallet, nonce, calls), personal_digest(digest)


def _proxy(
    body: dict[str, Any], owner: str, factories: WalletFactories, relay: str
) -> tuple[Envelope, bytes]:
    params = body["signatureParams"]
    if factories.proxy_factory is None or _address(params["relay"]).lower() != relay.lower():
        raise ValueError("no such relay")
    data, nonce = _hex(body["data"]), _number(body["nonce"])
    transaction = ProxyTransaction(
        owner=owner,
        factory=factories.proxy_factory,
        data=data,
        gas_limit=_number(params["gasLimit"]),
        nonce=nonce,
        relay=relay,
        relay_hub=_address(params["relayHub"]),
        gas_price=_number(params["gasPrice"]),
        fee=_number(params["relayerFee"]),
    )
    words = Words(data[4:])
    calls = _tuple_calls(words.behind(words.number(0)))
    wallet = _address(body["proxyWallet"])
    envelope = Envelope(WalletKind.PROXY, owner, wallet, nonce, calls)
    return envelope, personal_digest(proxy_hash(transaction))


def _packed_calls(packed: bytes) -> tuple[WalletCall, ...]:
    """Return the calls of a multiSend."""
    calls: list[WalletCall] = []
    while packed and len(calls) < CALLS_MAX:
        head, packed = packed[:PACKED_HEAD_BYTES], packed[PACKED_HEAD_BYTES:]
        length = int.from_bytes(head[53:], "big")
        data, packed = packed[:length], packed[length:]
        if len(head) != PACKED_HEAD_BYTES or len(data) != length or head[0]:
            raise ValueError("malformed multisend")
        calls.append(WalletCall("0x" + head[1:21].hex(), data, int.from_bytes(head[21:53], "big")))
    return tuple(calls)


def _tuple_calls(array: Words) -> tuple[WalletCall, ...]:
    """Return the calls of `proxy((uint8,address,uint256,bytes)[])`."""
    calls = []
    elements = array.behind(32)
    for index in range(min(array.number(0), CALLS_MAX)):
        call = elements.behind(elements.number(index))
        calls.append(WalletCall(call.address(1), call.bytes_at(call.number(3)), call.number(2)))
    return tuple(calls)


def _address(text: Any) -> str:
    parse_address(text)
    return str(text)


def _number(text: Any) -> int:
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 30:
        raise ValueError("a number is a string of decimal digits")
    return int(text)


def _hex(text: Any) -> bytes:
    if not isinstance(text, str) or text[:2] != "0x":
        raise ValueError("bytes are 0x and hex digits")
    return bytes.fromhex(text[2:])
