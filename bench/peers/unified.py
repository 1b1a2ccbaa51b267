"""polymarket-client, asked by JSON lines: what it signs, what it sends and how long it takes.

Run by the Python of its own environment.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from eth_account import Account
from lines import serve, timed
from polymarket._internal.actions.auth import build_l1_auth_headers
from polymarket._internal.actions.orders.limit import _compute_limit_order_amounts
from polymarket._internal.actions.orders.orders import create_signed_order, create_unsigned_order
from polymarket._internal.actions.orders.post import build_post_order_request
from polymarket._internal.actions.orders.typed_data import (
    build_order_signature,
    build_order_typed_data,
)
from polymarket._internal.actions.orders.types import OrderDraft, UnsignedOrder
from polymarket._internal.l1_auth import sign_api_key_auth
from polymarket._internal.protocol import is_v2_position_id
from polymarket._internal.wallet import wrap_deposit_wallet_session_signer_signature
from polymarket.clients.secure import _make_l2_header_resolver_sync
from polymarket.models.clob import ApiKeyCreds


def sign(account: Any, unsigned: UnsignedOrder) -> str:
    """Return an owner's signature, as the client's `_sign_order` makes it."""
    raw = account.sign_typed_data(full_message=build_order_typed_data(unsigned)).signature.hex()
    return build_order_signature(unsigned, raw if raw.startswith("0x") else "0x" + raw)


def order(values: dict[str, Any]) -> dict[str, Any]:
    """Sign an order of generation 2 or 3; return its body, and its signature by a session key."""
    unsigned = UnsignedOrder(
        chain_id=values["chain_id"],
        builder=values["builder"],
        exchange_address=values["contract"],
        expiration=values["expires_s"],
        maker=values["maker"],
        maker_amount=values["maker_amount"],
        metadata="0x" + "00" * 32,
        order_type=values["tif"],
        salt=values["salt"],
        side=("BUY", "SELL")[values["side"]],
        signature_type=values["signature_type"],
        signer=values["signer"],
        taker_amount=values["taker_amount"],
        timestamp=values["timestamp_ms"],
        token_id=str(values["token_id"]),
        protocol_version="3" if is_v2_position_id(str(values["token_id"])) else "2",
    )
    account = Account.from_key(values["private_key"])
    signature = sign(account, unsigned)
    signed = create_signed_order(unsigned, signature, post_only=values["post_only"])
    _, payload = build_post_order_request(signed, owner_api_key=values["owner"])
    session = wrap_deposit_wallet_session_signer_signature(account.address, signature)
    return {"body": json.dumps(payload), "session_signature": session}


def l1(private_key: str, chain_id: int, timestamp_s: int, nonce: int) -> dict[str, str]:
    """Return the L1 headers."""
    account = Account.from_key(private_key)
    return build_l1_auth_headers(
        sign_api_key_auth(account, chain_id=chain_id, timestamp=timestamp_s, nonce=nonce)
    )


def l2(
    private_key: str, credentials: list[str], timestamp_s: int, method: str, path: str, body: str
) -> dict[str, str]:
    """Return the L2 headers, made at the given second."""
    key, secret, passphrase = credentials
    named = ApiKeyCreds(key=key, secret=secret, passphrase=passphrase)
    resolve = _make_l2_header_resolver_sync(Account.from_key(private_key), named)
    resolve.__globals__["time"] = _Clock(timestamp_s)
    return dict(resolve(method, path, body or None))


class _Clock:
    """A clock that stands still."""

    def __init__(self, now_s: int) -> None:
        self._now_s = now_s

    def time(self) -> float:
        """Return the one second there is."""
        return float(self._now_s)


class Hot:
    """One order after another of one wallet, from arguments to body, without network look-ups."""

    def __init__(self, private_key: str, token_id: str, owner: str) -> None:
        self._account = Account.from_key(private_key)
        self._token_id = token_id
        self._owner = owner

    def __call__(self) -> bytes:
        """Return the body's bytes."""
        offered, requested = _compute_limit_order_amounts(
            price=Decimal("0.48"), size=Decimal(10), side="BUY", tick_size=Decimal("0.01")
        )
        draft = OrderDraft(
            chain_id=137,
            exchange_address="0xE111180000d2663C0091e4f400237545B87B996B",
            expiration=0,
            funder_address=self._account.address,
            offered_amount=offered,
            order_type="GTC",
            side="BUY",
            signer=self._account.address,
            requested_amount=requested,
            asset_id=self._token_id,
        )
        unsigned = create_unsigned_order(draft, wallet=self._account.address, wallet_type="EOA")
        signed = create_signed_order(unsigned, sign(self._account, unsigned))
        _, payload = build_post_order_request(signed, owner_api_key=self._owner)
        return json.dumps(payload, separators=(",", ":")).encode()


def time(count: int, **hot: str) -> list[int]:
    """Return the nanoseconds of so many orders."""
    return timed(Hot(**hot), count)


if __name__ == "__main__":
    serve({"order": order, "l1": l1, "l2": l2, "time": time})
