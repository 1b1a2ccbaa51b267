"""Who is asking: L1 (a wallet's signature) and L2 (HMAC over the exact bytes), really verified.

Source: orders.md §4. No tolerance of timestamps is documented and the clock here is virtual, so a
timestamp only has to be the one that was signed.
"""

from __future__ import annotations

import hmac
from typing import Any

from aiohttp import web

from engine.exchange.accounts import Accounts, ApiKey
from engine.exchange.server.http import Refusal, json_response
from signer.auth import l2_message, verify_l1, verify_l2

UNAUTHORIZED = "Unauthorized/Invalid api key"
BAD_L1 = "Invalid L1 Request headers"
NUMBER_DIGITS_MAX = 20


def _number(text: str | None) -> int | None:
    if text and text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX:
        return int(text)
    return None


class Gatekeeper:
    """Checks credentials; serves the routes that make and list them."""

    __slots__ = ("_accounts", "_chain_id")

    def __init__(self, accounts: Accounts, chain_id: int) -> None:
        self._accounts = accounts
        self._chain_id = chain_id

    def routes(self) -> list[web.RouteDef]:
        """Return the auth routes."""
        return [
            web.post("/auth/api-key", self.create_key),
            web.get("/auth/derive-api-key", self.derive_key),
            web.get("/auth/api-keys", self.list_keys),
            web.get("/auth/ban-status/closed-only", self.closed_only),
        ]

    async def admit(self, request: web.Request) -> tuple[ApiKey, bytes]:
        """Return the key set that signed this request and its body; Refusal 401 otherwise."""
        headers = request.headers
        key = self._accounts.key(headers.get("POLY_API_KEY", ""))
        timestamp_s = _number(headers.get("POLY_TIMESTAMP"))
        body = await request.read()
        if key is None or timestamp_s is None:
            raise Refusal(401, UNAUTHORIZED)
        passphrase = headers.get("POLY_PASSPHRASE", "").encode("utf-8", "surrogateescape")
        address = headers.get("POLY_ADDRESS", "")
        message = l2_message(timestamp_s, request.method, request.rel_url.raw_path, body)
        admitted = (
            hmac.compare_digest(passphrase, key.passphrase.encode())
            and address.lower() == key.account.address.lower()
            and verify_l2(headers.get("POLY_SIGNATURE", ""), key.secret, message)
        )
        if not admitted:
            raise Refusal(401, UNAUTHORIZED)
        return key, body

    async def create_key(self, request: web.Request) -> web.Response:
        """POST /auth/api-key: a new key set for a wallet and nonce."""
        key = self._accounts.create_key(*self._wallet(request))
        if key is None:
            raise Refusal(400, "Could not create api key")
        return json_response(_key_view(key))

    async def derive_key(self, request: web.Request) -> web.Response:
        """GET /auth/derive-api-key: the key set made earlier."""
        key = self._accounts.derive_key(*self._wallet(request))
        if key is None:
            raise Refusal(400, "Could not derive api key!")
        return json_response(_key_view(key))

    async def list_keys(self, request: web.Request) -> web.Response:
        """GET /auth/api-keys: the public parts."""
        key, _ = await self.admit(request)
        return json_response({"apiKeys": self._accounts.keys_of(key.account)})

    async def closed_only(self, request: web.Request) -> web.Response:
        """GET /auth/ban-status/closed-only: nobody is banned here."""
        await self.admit(request)
        return json_response({"closed_only": False})

    def _wallet(self, request: web.Request) -> tuple[str, int]:
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


def _key_view(key: ApiKey) -> dict[str, Any]:
    return {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}
