"""JSON-RPC, read only, under `/rpc`: the few views of the chain that an official client asks for.

Balances, approvals, the block's time and number, what a call's gas would be. There is no chain
behind it: nothing can be sent. Unknown methods and contracts get JSON-RPC errors.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from engine.exchange import contracts
from engine.exchange.accounts import CASH, Account
from engine.exchange.server.http import json_response, parse_json
from engine.exchange.venue import Venue
from engine.exchange.wallet_actions import Words
from signer.abi import dynamic_array, encode
from signer.eip712 import address_word, hash_text, uint_word
from signer.wallet_addresses import BEACON_SELECTOR, factories_of

BLOCK_MS = 2_000
CALL_GAS = 300_000  # what any call is estimated at: a client only signs it as its limit
BATCH_MAX = 100
METHOD_NOT_FOUND, REVERTED, INVALID = -32_601, 3, -32_602


class RpcError(Exception):
    """An error of one call."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ChainRoutes:
    """Answers chain views from one venue's accounts."""

    __slots__ = ("_chain_id", "_factories", "_venue")

    def __init__(self, venue: Venue, chain_id: int) -> None:
        self._venue = venue
        self._chain_id = chain_id
        self._factories = factories_of(chain_id)

    def routes(self) -> list[web.RouteDef]:
        """Return the RPC route."""
        return [web.post("/rpc", self.post_rpc)]

    async def post_rpc(self, request: web.Request) -> web.Response:
        """POST /rpc: one call, or up to a hundred."""
        calls = parse_json(await request.read())
        if isinstance(calls, list):
            return json_response([self._answer(call) for call in calls[:BATCH_MAX]])
        return json_response(self._answer(calls))

    def _answer(self, call: Any) -> dict[str, Any]:
        head = {"jsonrpc": "2.0", "id": call.get("id") if isinstance(call, dict) else None}
        try:
            return {**head, "result": self._result(call)}
        except RpcError as error:
            return {**head, "error": {"code": error.code, "message": str(error)}}
        except (KeyError, ValueError, TypeError, IndexError, AttributeError):
            return {**head, "error": {"code": INVALID, "message": "invalid params"}}

    def _result(self, call: Any) -> Any:
        method = call["method"]
        number = self._venue.schedule.now_ms // BLOCK_MS
        if method == "eth_chainId":
            return hex(self._chain_id)
        if method == "eth_blockNumber":
            return hex(number)
        if method == "eth_estimateGas":
            return hex(CALL_GAS)
        if method == "eth_getBlockByNumber":
            seconds = self._venue.schedule.now_ms // 1_000
            return {"number": hex(number), "timestamp": hex(seconds), "transactions": []}
        if method == "eth_call":
            view = call["params"][0]
            data = bytes.fromhex(view["data"].removeprefix("0x"))
            return "0x" + self._view(view["to"].lower(), data[:4], Words(data[4:])).hex()
        raise RpcError(METHOD_NOT_FOUND, f"the method {method!s:.40} does not exist")

    def _view(self, target: str, selector: bytes, words: Words) -> bytes:
        factory = self._factories
        if target == factory.deposit_factory.lower() and selector == BEACON_SELECTOR:
            if factory.deposit_beacon is not None:
                return address_word(factory.deposit_beacon)
        elif target == contracts.COLLATERAL.lower():
            account = self._account(words.address(0))
            if selector == _selector("allowance(address,address)"):
                return uint_word(account.allowance)
            if selector == _selector("balanceOf(address)"):
                return uint_word(account.balance(CASH))
        elif target in (contracts.CONDITIONAL_TOKENS.lower(), contracts.POSITION_MANAGER.lower()):
            if selector == _selector("balanceOf(address,uint256)"):
                return uint_word(self._account(words.address(0)).balance(words.number(1)))
            if selector == _selector("isApprovedForAll(address,address)"):
                return uint_word(1)
            if selector == _selector("balanceOfBatch(address[],uint256[])"):
                return self._balances(words)
        raise RpcError(REVERTED, "execution reverted")

    def _balances(self, words: Words) -> bytes:
        owners, tokens = (words.behind(words.number(index)) for index in (0, 1))
        count = min(owners.number(0), BATCH_MAX)
        balances = [
            self._account(owners.address(1 + index)).balance(tokens.number(1 + index))
            for index in range(count)
        ]
        return encode(dynamic_array([uint_word(balance) for balance in balances]))

    def _account(self, address: str) -> Account:
        return self._venue.accounts.find(address) or Account(address)


def _selector(function: str) -> bytes:
    return hash_text(function)[:4]
