"""Session keys of deposit wallets: granted and revoked by the owner, listed for him.

```
POST   /relayer/v1/session-signers/authorizations   a signed wallet batch of one call
POST   /relayer/v1/session-signers/revocations      the same
GET    /v1/user/session-signers                     L2: the wallet's keys
```
The call is the wallet's own `authorizeSessionSigner(address,uint256)` or
`revokeSessionSigner(address)`, which also may come by `/relayer/submit`. Every key may do
everything, whatever its scopes say. Source: the official client.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from engine.exchange.accounts import WalletKind
from engine.exchange.server.auth import Gatekeeper
from engine.exchange.server.http import Refusal, json_response, parse_json
from engine.exchange.server.relayer import BAD_PAYLOAD, RelayerRoutes
from engine.exchange.venue import Venue
from signer.abi import call_data
from signer.eip712 import address_word, uint_word

SCOPES = ["ALL"]


class SessionKeyRoutes:
    """Serves the session keys of one venue's deposit wallets."""

    __slots__ = ("_gate", "_relayer", "_venue")

    def __init__(self, venue: Venue, gate: Gatekeeper, relayer: RelayerRoutes) -> None:
        self._venue = venue
        self._gate = gate
        self._relayer = relayer

    def routes(self) -> list[web.RouteDef]:
        """Return the session keys' routes."""
        base = "/relayer/v1/session-signers"
        return [
            web.post(f"{base}/authorizations", self.post_authorization),
            web.post(f"{base}/revocations", self.post_revocation),
            web.get("/v1/user/session-signers", self.get_keys),
        ]

    async def post_authorization(self, request: web.Request) -> web.Response:
        """POST …/authorizations: let a key sign for the wallet until a time."""
        return await self._submit(request, _authorization, {"status": "SUBMITTED"})

    async def post_revocation(self, request: web.Request) -> web.Response:
        """POST …/revocations: let it sign no more."""
        return await self._submit(request, _revocation, {"status": "PENDING", "fenced": True})

    async def get_keys(self, request: web.Request) -> web.Response:
        """GET /v1/user/session-signers: those that may sign now."""
        key, _ = await self._gate.admit(request)
        wallet = self._venue.accounts.wallet(key.account.address, WalletKind.DEPOSIT)
        if wallet is None:
            raise Refusal(404, "wallet not found")
        now_s = self._venue.schedule.now_ms // 1_000
        signers = [
            {"address": address, "scopes": SCOPES, "valid_until": until_s}
            for address, until_s in wallet.session_keys.items()
            if until_s > now_s
        ]
        return json_response({"signers": signers, "wallet": wallet.address})

    async def _submit(
        self, request: web.Request, call: Any, answer: dict[str, Any]
    ) -> web.Response:
        owner = await self._gate.admit_to_relayer(request)
        body = parse_json(await request.read())
        try:
            wallet = str(body["walletAddress"])
            envelope = {
                "type": "WALLET",
                "from": owner,
                "nonce": body["nonce"],
                "signature": body["signature"],
                "depositWalletParams": {
                    "depositWallet": wallet,
                    "deadline": body["deadline"],
                    "calls": [{"target": wallet, "value": "0", "data": "0x" + call(body).hex()}],
                },
            }
        except (KeyError, ValueError, TypeError):
            raise Refusal(400, BAD_PAYLOAD) from None
        transaction = self._relayer.submit(owner, envelope)
        hashes = {"transactionId": transaction.transaction_id, "transactionHash": ""}
        return json_response(answer | hashes)


def _authorization(body: dict[str, Any]) -> bytes:
    """Return the call a body means; KeyError or ValueError if it means none."""
    signer, until_s = str(body["sessionSignerAddress"]), int(body["validUntil"])
    function = "authorizeSessionSigner(address,uint256)"
    return call_data(function, address_word(signer), uint_word(until_s))


def _revocation(body: dict[str, Any]) -> bytes:
    return call_data(
        "revokeSessionSigner(address)", address_word(str(body["sessionSignerAddress"]))
    )
