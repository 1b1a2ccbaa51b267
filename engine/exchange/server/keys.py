"""API keys: made and derived by a wallet's signature, listed and deleted by themselves."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from engine.exchange.accounts import Accounts, ApiKey, KeyRole
from engine.exchange.server.auth import UNAUTHORIZED, Gatekeeper
from engine.exchange.server.http import Refusal, json_response, parse_json
from engine.exchange.venue_mode import VenueMode


class KeyRoutes:
    """Serves the keys of one venue's accounts."""

    __slots__ = ("_accounts", "_gate", "_mode")

    def __init__(self, accounts: Accounts, gate: Gatekeeper, mode: VenueMode) -> None:
        self._accounts = accounts
        self._gate = gate
        self._mode = mode

    def routes(self) -> list[web.RouteDef]:
        """Return the auth routes."""
        return [
            web.post("/auth/api-key", self.create_key),
            web.get("/auth/derive-api-key", self.derive_key),
            web.get("/auth/api-keys", self.list_keys),
            web.delete("/auth/api-key", self.delete_key),
            web.post("/auth/readonly-api-key", self.create_readonly_key),
            web.get("/auth/readonly-api-keys", self.list_readonly_keys),
            web.delete("/auth/readonly-api-key", self.delete_readonly_key),
            web.post("/auth/builder-api-key", self.create_builder_key),
            web.get("/auth/builder-api-key", self.list_builder_keys),
            web.delete("/auth/builder-api-key", self.delete_builder_key),
            web.get("/auth/ban-status/closed-only", self.closed_only),
        ]

    async def create_key(self, request: web.Request) -> web.Response:
        """POST /auth/api-key: a new key set for a wallet and nonce."""
        key = self._accounts.create_key(*self._gate.wallet_of(request))
        if key is None:
            raise Refusal(400, "Could not create api key")
        return json_response(_key_view(key))

    async def derive_key(self, request: web.Request) -> web.Response:
        """GET /auth/derive-api-key: the key set made earlier."""
        key = self._accounts.derive_key(*self._gate.wallet_of(request))
        if key is None:
            raise Refusal(400, "Could not derive api key!")
        return json_response(_key_view(key))

    async def list_keys(self, request: web.Request) -> web.Response:
        """GET /auth/api-keys: the public parts."""
        key, _ = await self._gate.admit(request)
        return json_response({"apiKeys": self._accounts.keys_of(key.account)})

    async def delete_key(self, request: web.Request) -> web.Response:
        """DELETE /auth/api-key: the key set that signs the request."""
        key, _ = await self._gate.admit(request)
        self._accounts.delete_key(key)
        return json_response("OK")

    async def create_readonly_key(self, request: web.Request) -> web.Response:
        """POST /auth/readonly-api-key: one more key set, which may only look."""
        key, _ = await self._gate.admit(request)
        return json_response(_key_view(self._accounts.create_extra_key(key.account, KeyRole.READ)))

    async def list_readonly_keys(self, request: web.Request) -> web.Response:
        """GET /auth/readonly-api-keys: the public parts."""
        key, _ = await self._gate.admit(request)
        return json_response(self._accounts.keys_of(key.account, KeyRole.READ))

    async def delete_readonly_key(self, request: web.Request) -> web.Response:
        """DELETE /auth/readonly-api-key: one of the owner's, by its public part."""
        key, body = await self._gate.admit(request)
        payload = parse_json(body)
        name = payload.get("key") if isinstance(payload, dict) else None
        doomed = self._accounts.key(name) if isinstance(name, str) else None
        if doomed is None or doomed.role is not KeyRole.READ or doomed.account is not key.account:
            raise Refusal(404, "api key not found")
        self._accounts.delete_key(doomed)
        return json_response("OK")

    async def create_builder_key(self, request: web.Request) -> web.Response:
        """POST /auth/builder-api-key: a key set for the relayer."""
        key, _ = await self._gate.admit(request)
        made = self._accounts.create_extra_key(key.account, KeyRole.BUILDER)
        return json_response(
            {"key": made.key, "secret": made.secret, "passphrase": made.passphrase}
        )

    async def list_builder_keys(self, request: web.Request) -> web.Response:
        """GET /auth/builder-api-key: the public parts."""
        key, _ = await self._gate.admit(request)
        return json_response(self._accounts.keys_of(key.account, KeyRole.BUILDER))

    async def delete_builder_key(self, request: web.Request) -> web.Response:
        """DELETE /auth/builder-api-key: the builder's key set that signs the request, or, signed
        with a trading key as the official client does it, all of the owner's."""
        if "POLY_BUILDER_API_KEY" in request.headers:
            self._accounts.delete_key(await self._gate.admit_builder(request))
            return json_response("OK")
        key, _ = await self._gate.admit(request)
        if key.role is not KeyRole.TRADE:
            raise Refusal(401, UNAUTHORIZED)
        for name in self._accounts.keys_of(key.account, KeyRole.BUILDER):
            doomed = self._accounts.key(name)
            assert doomed is not None, "keys_of gives keys there are"
            self._accounts.delete_key(doomed)
        return json_response("OK")

    async def closed_only(self, request: web.Request) -> web.Response:
        """GET /auth/ban-status/closed-only: whether the owner may only sell."""
        key, _ = await self._gate.admit(request)
        return json_response({"closed_only": key.account.owner in self._mode.closed_only})


def _key_view(key: ApiKey) -> dict[str, Any]:
    return {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}
