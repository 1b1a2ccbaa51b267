"""An order's papers: payload, owner, wallet, token, signature, in the venue's sequence.

The signature is checked under the exchange of the token's market and generation, so an order signed
for another one is `order_version_mismatch` or `invalid signature`.

```
type  wallet   maker    signer   what is checked
0     EOA      owner    owner    the owner signed the order
1     proxy    proxy    owner    the owner signed it, and the proxy is his (CREATE2)
2     Safe     Safe     owner    the owner signed it, and the Safe is his
3     deposit  wallet   wallet   ERC-7739: 317 bytes that name exchange and order, signed by the
                                 wallet's owner for this wallet and no other
```
For type 3 a session key may sign instead of the owner: with its own API key, and its signature in
an envelope that names it. Source: orders.md §1, §2.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from engine.exchange import rules
from engine.exchange.accounts import Account, ApiKey, WalletKind
from engine.exchange.listing import Listing
from engine.exchange.orders import Submission
from engine.exchange.server.http import Refusal
from engine.exchange.venue import Venue
from engine.wire.codes import Side, Tif
from signer import order_v1, order_v2
from signer.address import parse_address
from signer.contracts import Generation, exchange_domain
from signer.ecdsa import recover
from signer.eip712 import typed_digest
from signer.order_v1 import OrderV1
from signer.order_v2 import Order, order_from_json
from signer.poly1271 import SIGNATURE_BYTES, wallet_digest, wrap_signature
from signer.session_keys import wrap_session_signature

BAD_PAYLOAD = "Invalid order payload"
BAD_SIGNATURE = "invalid signature"
NOT_THE_KEY = "the order signer address has to be the address of the API KEY"
WRONG_WALLET = "maker address not allowed, please use the deposit wallet flow"
WRONG_VERSION = "order_version_mismatch"
ECDSA_BYTES = 65
SESSION_HEAD_BYTES = 128  # of the envelope: who, a zero, where the signature is, how long it is
V1_ONLY_FIELDS = frozenset(("taker", "nonce", "feeRateBps"))


class OrderVerifier:
    """Checks orders for one venue and chain."""

    __slots__ = ("_chain_id", "_separators", "_venue")

    def __init__(self, venue: Venue, chain_id: int) -> None:
        self._venue = venue
        self._chain_id = chain_id
        self._separators: dict[tuple[int, bool], bytes] = {
            (generation, neg_risk): exchange_domain(generation, chain_id, neg_risk).separator()
            for generation in Generation
            for neg_risk in (False, True)
        }

    def verify(self, key: ApiKey, payload: Any) -> Submission:
        """Return a verified order; Refusal in the venue's words otherwise."""
        fields = payload.get("order") if isinstance(payload, dict) else None
        if not isinstance(fields, dict):
            raise Refusal(400, BAD_PAYLOAD)
        is_v1 = fields.keys() >= V1_ONLY_FIELDS and "timestamp" not in fields
        if is_v1 and not self._venue.rules.v1_accepted:
            raise Refusal(400, WRONG_VERSION)
        try:
            order = _order_v1(fields) if is_v1 else order_from_json(fields)
            signature = bytes.fromhex(str(fields["signature"]).removeprefix("0x"))
            tif = Tif[payload["orderType"]]
            expiration_s = _decimal(fields.get("expiration", "0"), 12)
            post_only = payload.get("postOnly", False)
        except (KeyError, ValueError, TypeError):
            raise Refusal(400, BAD_PAYLOAD) from None
        if not isinstance(post_only, bool):
            raise Refusal(400, BAD_PAYLOAD)
        if payload.get("owner") != key.key:
            raise Refusal(400, "the order owner has to be the owner of the API KEY")
        account = self._account(key, order)
        found = self._venue.find(order.token_id)
        if found is None:
            raise Refusal(400, rules.NO_MARKET.format(token=order.token_id))
        listing, outcome = found
        session_key = "" if key.account.owner == account.owner else key.account.owner
        digest = self._hash(order, signature, listing, account, session_key)
        return Submission(
            order_hash="0x" + digest.hex(),
            account=account,
            owner=key.key,
            market=listing.market,
            outcome=outcome,
            side=order.side,
            maker_amount=order.maker_amount,
            taker_amount=order.taker_amount,
            tif=tif,
            post_only=post_only,
            expiration_s=expiration_s,
            builder=b"" if isinstance(order, OrderV1) else order.builder,
            session_key=session_key,
        )

    def _account(self, key: ApiKey, order: Order | OrderV1) -> Account:
        """Return the wallet that makes the order; Refusal if it is none of the key's owner."""
        if order.signature_type not in tuple(WalletKind):
            raise Refusal(400, BAD_PAYLOAD)
        kind = WalletKind(order.signature_type)
        if kind is WalletKind.EOA and not self._venue.rules.eoa_accepted:
            raise Refusal(400, WRONG_WALLET)
        account = self._venue.accounts.wallet(key.account.address, kind)
        if kind is WalletKind.DEPOSIT:
            account = self._wallet_of_session(key.account.owner, order.maker) or account
        signer = order.maker if kind is WalletKind.DEPOSIT else key.account.address
        if order.signer.lower() != signer.lower():
            raise Refusal(400, NOT_THE_KEY)
        if account is None or order.maker.lower() != account.address.lower():
            raise Refusal(400, NOT_THE_KEY if kind is WalletKind.EOA else WRONG_WALLET)
        return account

    def _wallet_of_session(self, address: str, maker: str) -> Account | None:
        """Return the deposit wallet that lets this address sign for it, if the maker is one."""
        wallet = self._venue.accounts.find(maker)
        now_s = self._venue.schedule.now_ms // 1_000
        if wallet is None or wallet.kind is not WalletKind.DEPOSIT:
            return None
        return wallet if wallet.lets_sign(address, now_s) else None

    def _hash(
        self,
        order: Order | OrderV1,
        signature: bytes,
        listing: Listing,
        account: Account,
        session_key: str,
    ) -> bytes:
        """Return the order's hash under its market's exchange; Refusal if not signed for it."""
        market = listing.market
        if isinstance(order, OrderV1):
            digest = order_v1.order_hash(order, self._separators[Generation.V1, market.neg_risk])
            if not _signed_by(account.owner, signature, digest):
                raise Refusal(400, BAD_SIGNATURE)
            return digest
        check = self._check_deposit if account.kind is WalletKind.DEPOSIT else _check_ecdsa
        if session_key:
            check = partial(self._check_session, session_key)
        contents = order_v2.struct_hash(order)
        own = self._separators[market.generation, market.neg_risk]
        if check(contents, signature, own, account):
            return typed_digest(own, contents)
        if any(check(contents, signature, other, account) for other in self._separators.values()):
            raise Refusal(400, WRONG_VERSION)
        raise Refusal(400, BAD_SIGNATURE)

    def _check_session(
        self, session_key: str, contents: bytes, signature: bytes, separator: bytes, wallet: Account
    ) -> bool:
        """Tell whether a deposit wallet would vouch for a session key's signature."""
        inner = signature[SESSION_HEAD_BYTES : SESSION_HEAD_BYTES + SIGNATURE_BYTES]
        if signature != wrap_session_signature(session_key, inner):
            return False
        return self._check_wrapped(session_key, contents, inner, separator, wallet)

    def _check_deposit(
        self, contents: bytes, signature: bytes, separator: bytes, account: Account
    ) -> bool:
        """Tell whether a deposit wallet would vouch for its owner's signature."""
        return self._check_wrapped(account.owner, contents, signature, separator, account)

    def _check_wrapped(
        self, signer: str, contents: bytes, signature: bytes, separator: bytes, account: Account
    ) -> bool:
        """Tell whether `signer` signed an order for this wallet. contents: its struct hash."""
        ecdsa = signature[:ECDSA_BYTES]
        if len(signature) != SIGNATURE_BYTES or not account.is_deployed:
            return False
        if signature != wrap_signature(ecdsa, separator, contents):
            return False
        digest = wallet_digest(separator, contents, self._chain_id, account.address)
        return _signed_by(signer, ecdsa, digest)


def _check_ecdsa(contents: bytes, signature: bytes, separator: bytes, account: Account) -> bool:
    return _signed_by(account.owner, signature, typed_digest(separator, contents))


def _signed_by(owner: str, signature: bytes, digest: bytes) -> bool:
    try:
        return "0x" + recover(digest, signature).hex() == owner
    except ValueError:
        return False


def _order_v1(fields: dict[str, Any]) -> OrderV1:
    """Return the signed fields of a generation-1 body; ValueError or KeyError if malformed."""
    plain = {"timestamp": "0", "metadata": "0x" + "00" * 32, "builder": "0x" + "00" * 32}
    same = order_from_json({**fields, **plain})
    if same.signature_type == WalletKind.DEPOSIT:
        raise ValueError("deposit wallets are younger than generation 1")
    parse_address(fields["taker"])
    return OrderV1(
        salt=same.salt,
        maker=same.maker,
        signer=same.signer,
        token_id=same.token_id,
        maker_amount=same.maker_amount,
        taker_amount=same.taker_amount,
        side=Side(same.side),
        signature_type=same.signature_type,
        expires_s=_decimal(fields["expiration"], 12),
        nonce=_decimal(fields["nonce"], 20),
        fee_rate_bps=_decimal(fields["feeRateBps"], 5),
        taker=fields["taker"],
    )


def _decimal(text: Any, digits_max: int) -> int:
    if (
        not isinstance(text, str)
        or not text.isascii()
        or not text.isdigit()
        or len(text) > digits_max
    ):
        raise ValueError(f"a number is a string of decimal digits: {text!s:.20}")
    return int(text)
