"""Wallet calls that the relayer carries and pays for: what is signed for each kind of wallet.

```
WALLET  deposit wallet  EIP-712 `Batch` under the wallet's own domain
SAFE    Safe            EIP-712 `SafeTx`, its digest signed as a personal message, v + 4
PROXY   proxy           keccak("rlx:" ‖ …), signed as a personal message
```
Pure: who sends it, and what the relayer answers, is the rail's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from signer.abi import Dynamic, call_data, dynamic_array, dynamic_bytes, encode
from signer.address import ZERO_ADDRESS, parse_address
from signer.ecdsa import SigningKey
from signer.eip712 import Domain, address_word, hash_struct, hash_text, typed_digest, uint_word
from signer.keccak import keccak256
from signer.wallet_calls import WalletCall

SAFE_MULTISEND = "0xA238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761"
RELAY_HUB = "0xD216153c06E857cD7f72665E0aF1d7D82172F494"

_CALL_TYPE = "Call(address target,uint256 value,bytes data)"
_CALL_TYPE_HASH = hash_text(_CALL_TYPE)
_BATCH_TYPE_HASH = hash_text(
    "Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)" + _CALL_TYPE
)
_SAFE_DOMAIN_TYPE_HASH = hash_text("EIP712Domain(uint256 chainId,address verifyingContract)")
_SAFE_TX_TYPE_HASH = hash_text(
    "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,"
    "uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
)
_OPERATION_CALL = 0
_OPERATION_DELEGATECALL = 1
_PROXY_TYPE_CALL = 1
# A Safe tells a personal-message signature from a plain one by its v.
_SAFE_PERSONAL_V = 4


@dataclass(frozen=True, slots=True)
class WalletBatch:
    """Calls of a deposit wallet. deadline_s: epoch seconds, after which nobody may send it."""

    wallet: str
    nonce: int
    deadline_s: int
    calls: tuple[WalletCall, ...]


class SafeTransaction(NamedTuple):
    """What a Safe executes: a call of its own, or a delegate call that makes several."""

    call: WalletCall
    operation: int


@dataclass(frozen=True, slots=True)
class ProxyTransaction:
    """What the relay hub carries to the proxy factory. Gas in wei and units; relay: who sends."""

    owner: str
    factory: str
    data: bytes
    gas_limit: int
    nonce: int
    relay: str
    relay_hub: str = RELAY_HUB
    gas_price: int = 0
    fee: int = 0


def wallet_batch_digest(batch: WalletBatch, chain_id: int) -> bytes:
    """Return the 32 bytes the owner of a deposit wallet signs for a batch."""
    calls = b"".join(
        hash_struct(
            _CALL_TYPE_HASH, [address_word(call.to), uint_word(call.value), keccak256(call.data)]
        )
        for call in batch.calls
    )
    words = [
        address_word(batch.wallet),
        uint_word(batch.nonce),
        uint_word(batch.deadline_s),
        keccak256(calls),
    ]
    domain = Domain("DepositWallet", "1", chain_id, batch.wallet)
    return typed_digest(domain.separator(), hash_struct(_BATCH_TYPE_HASH, words))


def wallet_batch_body(
    batch: WalletBatch, owner: str, factory: str, signature: bytes, *, metadata: str = ""
) -> dict[str, Any]:
    """Return the body of `POST /submit` for a signed batch."""
    return {
        "type": "WALLET",
        "from": owner,
        "to": factory,
        "nonce": str(batch.nonce),
        "signature": _hex(signature),
        "metadata": metadata,
        "depositWalletParams": {
            "depositWallet": batch.wallet,
            "deadline": str(batch.deadline_s),
            "calls": [
                {"target": call.to, "value": str(call.value), "data": _hex(call.data)}
                for call in batch.calls
            ],
        },
    }


def safe_transaction(
    calls: Sequence[WalletCall], *, multisend: str = SAFE_MULTISEND
) -> SafeTransaction:
    """Return one call as it is, several packed into one delegate call of the multisend contract.

    Packed means: operation 1 byte, address 20, value 32, length 32, data; one after the other.
    Raises ValueError for no calls.
    """
    if not calls:
        raise ValueError("a Safe transaction needs at least one call")
    if len(calls) == 1:
        return SafeTransaction(calls[0], _OPERATION_CALL)
    packed = b"".join(
        bytes((_OPERATION_CALL,))
        + parse_address(call.to)
        + uint_word(call.value)
        + uint_word(len(call.data))
        + call.data
        for call in calls
    )
    data = call_data("multiSend(bytes)", dynamic_bytes(packed))
    return SafeTransaction(WalletCall(multisend, data), _OPERATION_DELEGATECALL)


def safe_digest(transaction: SafeTransaction, safe: str, nonce: int, chain_id: int) -> bytes:
    """Return the `SafeTx` digest of a transaction whose gas the relayer pays."""
    call, operation = transaction
    words = [
        address_word(call.to),
        uint_word(call.value),
        keccak256(call.data),
        uint_word(operation),
        *[uint_word(0)] * 3,
        *[address_word(ZERO_ADDRESS)] * 2,
        uint_word(nonce),
    ]
    domain = hash_struct(_SAFE_DOMAIN_TYPE_HASH, [uint_word(chain_id), address_word(safe)])
    return typed_digest(domain, hash_struct(_SAFE_TX_TYPE_HASH, words))


def sign_safe(
    key: SigningKey, transaction: SafeTransaction, safe: str, nonce: int, chain_id: int
) -> bytes:
    """Return the 65-byte signature r‖s‖v of a Safe's owner, v 31 or 32."""
    signature = key.sign(personal_digest(safe_digest(transaction, safe, nonce, chain_id)))
    return signature[:64] + bytes((signature[64] + _SAFE_PERSONAL_V,))


def proxy_call_data(calls: Sequence[WalletCall]) -> bytes:
    """Return the call of the proxy factory that makes the caller's proxy do all of `calls`.

    Raises ValueError for no calls.
    """
    if not calls:
        raise ValueError("a proxy transaction needs at least one call")
    tuples = [
        Dynamic(
            encode(
                uint_word(_PROXY_TYPE_CALL),
                address_word(call.to),
                uint_word(call.value),
                dynamic_bytes(call.data),
            )
        )
        for call in calls
    ]
    return call_data("proxy((uint8,address,uint256,bytes)[])", dynamic_array(tuples))


def proxy_hash(transaction: ProxyTransaction) -> bytes:
    """Return the 32-byte hash the relay hub checks; the owner signs it as a personal message."""
    return keccak256(
        b"rlx:"
        + parse_address(transaction.owner)
        + parse_address(transaction.factory)
        + transaction.data
        + uint_word(transaction.fee)
        + uint_word(transaction.gas_price)
        + uint_word(transaction.gas_limit)
        + uint_word(transaction.nonce)
        + parse_address(transaction.relay_hub)
        + parse_address(transaction.relay)
    )


def personal_digest(message: bytes) -> bytes:
    """Return what a wallet signs for a message meant for people (EIP-191, version 0x45)."""
    return keccak256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
