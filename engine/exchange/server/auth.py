"""Who is asking: L1 (a wallet's signature) and L2 (HMAC over the exact bytes), really verified.

Source: orders.md §4. No tolerance of timestamps is documented and the clock here is virtual, so a
timestamp only has to be the one that was signed.
"""

from __future__ import annotations

import hmac

from aiohttp import web

from engine.exchange.accounts import Accounts, ApiKey, KeyRole
from engine.exchange.server.http import Refusal
from signer.auth import l2_message, verify_l1, verify_l2

UNAUTHORIZED = "Unauthorized/Invalid api key"
BAD_L1 = "Invalid L1 Request headers"
BAD_RELAYER_KEY = "invalid authorization"
RELAYER_HOST = "/relayer"  # a host of its own at the venue, so no part of what is signed
NUMBER_DIGITS_MAX = 20


class Gatekeeper:
    """Checks the credentials of requests to one venue."""

    __slots__ = ("_accounts", "_chain_id")

    def __init__(self, accounts: Accounts, chain_id: int) -> None:
        self._accounts = accounts
        self._chain_id = chain_id

    async def admit(self, request: web.Request) -> tuple[ApiKey, bytes]:
        """Return the key set that signed this request (L2) and its body; Refusal 401 otherwise."""
        body = await request.read()
        key = self._signing_key(request, body, "POLY_")
        address = request.headers.get("POLY_ADDRESS", "").lower()
        if key is None or key.role is KeyRole.BUILDER or address != key.account.owner:
            raise Refusal(401, UNAUTHORIZED)
        return key, body

    async def admit_builder(self, request: web.Request) -> ApiKey:
        """Return the builder's key set that signed this request; Refusal 401 otherwise."""
        key = self._signing_key(request, await request.read(), "POLY_BUILDER_")
        if key is None or key.role is not KeyRole.BUILDER:
            raise Refusal(401, UNAUTHORIZED)
        return key

    async def admit_to_relayer(self, request: web.Request) -> str:
        """Return the owner, in lower case, who may use the relayer; Refusal 401 otherwise."""
        owner = request.headers.get("RELAYER_API_KEY_ADDRESS", "").lower()
        given = request.headers.get("RELAYER_API_KEY", "").encode("utf-8", "surrogateescape")
        if owner:
            if hmac.compare_digest(given, self._accounts.relayer_key(owner).encode()):
                return owner
            raise Refusal(401, BAD_RELAYER_KEY)
        try:
            return (await self.admit_builder(request)).account.owner
        except Refusal:
            raise Refusal(401, BAD_RELAYER_KEY) from None

    def wallet_of(self, request: web.Request) -> tuple[str, int]:
        """Return the (address, nonce) that signed an L1 request; Refusal 401 otherwise."""
        headers = request.headers
        address = headers.get("POLY_ADDRESS", "")
        timestamp_s = _number(headers.get("POLY_TIMESTAMP"))
        nonce = _number(headers.get("POLY_NONCE", "0"))
        signature = headers.get("POLY_SIGNATURE", "")
        if timestamp_s is None or nonce is None:
            raise Refusal(401, BAD_L1)
        if not verify_l1(address, signature, self._chain_id, timestamp_s, nonce):
            raise Refusal(401, BAD_L1)
        return address, nonce

    def _signing_key(self, request: web.Request, body: bytes, prefix: str) -> ApiKey | None:
        """Return the key set whose HMAC the headers with this prefix carry, or None."""
        headers = request.headers
        key = self._accounts.key(headers.get(f"{prefix}API_KEY", ""))
        timestamp_s = _number(headers.get(f"{prefix}TIMESTAMP"))
        if key is None or timestamp_s is None:
            return None
        passphrase = headers.get(f"{prefix}PASSPHRASE", "").encode("utf-8", "surrogateescape")
        path = request.rel_url.raw_path.removeprefix(RELAYER_HOST)
        message = l2_message(timestamp_s, request.method, path, body)
        signed = hmac.compare_digest(passphrase, key.passphrase.encode()) and verify_l2(
            headers.get(f"{prefix}SIGNATURE", ""), key.secret, message
        )
        return key if signed else None


def _number(text: str | None) -> int | None:
    if text and text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX:
        return int(text)
    return None
