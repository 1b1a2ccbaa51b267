"""What the relayer carries: `relayer`, all five of its lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from engine.vectors.case import Case, Fact, NotComputed, Row, cases_of, sections_of
from engine.vectors.values import hex_bytes, hex_text, integer
from signer import relayer, wallet_calls
from signer.ecdsa import SigningKey
from signer.session_keys import wrap_session_signature
from signer.wallet_addresses import factories_of
from signer.wallet_calls import WalletCall

_CHAIN_ID = 137  # of the lists that do not say


def cases(document: Row) -> Iterator[Case]:
    """Yield the cases of the lists that are there."""
    for section in sections_of(document, _SECTIONS):
        yield from cases_of(document, section, _SECTIONS[section])


def _call_facts(row: Row) -> Iterable[Fact]:
    if row["kind"] not in _CALLS:
        raise NotComputed
    arguments = {
        name: _READERS[name](value) if name in _READERS else value
        for name, value in row["args"].items()
    }
    got = _CALLS[row["kind"]](**arguments)
    yield "to", row["to"], got.to
    yield "value", row["value"], str(got.value)
    yield "data", row["data"], hex_text(got.data)


def _wallet_facts(row: Row) -> Iterable[Fact]:
    key = SigningKey.from_hex(row["private_key"])
    batch = relayer.WalletBatch(
        wallet=row["wallet"],
        nonce=integer(row["nonce"]),
        deadline_s=integer(row["deadline"]),
        calls=tuple(_calls(row["calls"], "target")),
    )
    signature = key.sign(relayer.wallet_batch_digest(batch, row["chain_id"]))
    yield "signature", row["signature"], hex_text(signature)
    factory = factories_of(row["chain_id"]).deposit_factory
    expected = row["submit_body"]
    got = relayer.wallet_batch_body(
        batch, key.address, factory, signature, metadata=expected["metadata"]
    )
    yield "submit_body", expected, got


def _safe_facts(row: Row) -> Iterable[Fact]:
    key = SigningKey.from_hex(row["private_key"])
    call = WalletCall(row["to"], hex_bytes(row["data"]), integer(row["value"]))
    transaction = relayer.SafeTransaction(call, row["operation"])
    if "inner_calls" in row:
        packed = relayer.safe_transaction(list(_calls(row["inner_calls"], "to")))
        yield "to", row["to"], packed.call.to
        yield "data", row["data"], hex_text(packed.call.data)
        yield "value", row["value"], str(packed.call.value)
        yield "operation", row["operation"], packed.operation
    nonce = integer(row["nonce"])
    signature = relayer.sign_safe(key, transaction, row["safe"], nonce, row["chain_id"])
    yield "packed_signature", row["packed_signature"], hex_text(signature)


def _proxy_facts(row: Row) -> Iterable[Fact]:
    key = SigningKey.from_hex(row["private_key"])
    yield "from_", row["from_"], key.address
    yield "to", row["to"], factories_of(_CHAIN_ID).proxy_factory
    data = relayer.proxy_call_data(list(_calls(row["inner_calls"], "to")))
    yield "data", row["data"], hex_text(data)
    transaction = relayer.ProxyTransaction(
        owner=key.address,
        factory=row["to"],
        data=data,
        gas_limit=integer(row["gas_limit"]),
        nonce=integer(row["nonce"]),
        relay=row["relay"],
        gas_price=integer(row["gas_price"]),
        fee=integer(row["relayer_fee"]),
    )
    yield "relay_hub", row["relay_hub"], transaction.relay_hub
    digest = relayer.proxy_hash(transaction)
    yield "hash", row["hash"], hex_text(digest)
    signature = key.sign(relayer.personal_digest(digest))
    yield "signature", row["signature"], hex_text(signature)


def _session_facts(row: Row) -> Iterable[Fact]:
    got = wrap_session_signature(row["session_signer"], hex_bytes(row["inner_signature"]))
    yield "wrapped_signature", row["wrapped_signature"], hex_text(got)


def _calls(rows: Sequence[Row], target: str) -> Iterator[WalletCall]:
    for row in rows:
        yield WalletCall(row[target], hex_bytes(row["data"]), integer(row["value"]))


_SECTIONS: dict[str, Callable[[Row], Iterable[Fact]]] = {
    "calls": _call_facts,
    "wallet_batches": _wallet_facts,
    "safe": _safe_facts,
    "proxy": _proxy_facts,
    "session": _session_facts,
}
_CALLS: dict[str, Callable[..., WalletCall]] = {
    "erc20_approve": wallet_calls.erc20_approve,
    "erc1155_set_approval_for_all": wallet_calls.erc1155_set_approval_for_all,
    "ctf_split": wallet_calls.ctf_split,
    "ctf_merge": wallet_calls.ctf_merge,
    "ctf_redeem": wallet_calls.ctf_redeem,
    "router_split": wallet_calls.router_split,
    "router_merge": wallet_calls.router_merge,
    "router_redeem": wallet_calls.router_redeem,
}
_READERS: dict[str, Callable[[Any], Any]] = {  # all other arguments are addresses
    "approved": bool,
    "condition_id": hex_bytes,
    "outcome_index": integer,
    "amount": integer,
}
