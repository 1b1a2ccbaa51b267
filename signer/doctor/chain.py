"""What the chain itself says, asked over JSON-RPC, read only."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import orjson

from engine.host.errors import HostError
from signer.abi import call_data
from signer.address import to_checksum
from signer.eip712 import address_word
from signer.rest import RestClient
from signer.wallet_addresses import BEACON_SELECTOR

_ADDRESS = slice(12, 32)


class ChainError(HostError):
    """The node refused or did not understand; the message names the method."""


class ChainView:
    """One node."""

    def __init__(self, url: str) -> None:
        """The URL may hold a key of its own: it is never quoted."""
        parts = urlsplit(url)
        self._client = RestClient(f"{parts.scheme}://{parts.netloc}")
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")

    def chain_id(self) -> int:
        """Return the chain the node is on."""
        return int(str(self._ask("eth_chainId", [])), 16)

    def has_code(self, address: str) -> bool:
        """Return whether a contract has been deployed at an address."""
        return bool(_bytes(self._ask("eth_getCode", [address, "latest"])))

    def deposit_beacon(self, factory: str) -> str | None:
        """Return the beacon of a deposit-wallet factory, None where it has none."""
        try:
            word = self._call(factory, BEACON_SELECTOR)
        except ChainError:
            return None
        return to_checksum(word[_ADDRESS]) if any(word) else None

    def balance(self, token: str, owner: str) -> int:
        """Return an ERC-20 balance in base units."""
        return self._number(token, "balanceOf(address)", owner)

    def allowance(self, token: str, owner: str, spender: str) -> int:
        """Return an ERC-20 allowance in base units."""
        return self._number(token, "allowance(address,address)", owner, spender)

    def is_approved(self, ledger: str, owner: str, operator: str) -> bool:
        """Return whether an operator may move all of an owner's ERC-1155 tokens."""
        return bool(self._number(ledger, "isApprovedForAll(address,address)", owner, operator))

    def _number(self, target: str, function: str, *addresses: str) -> int:
        words = [address_word(address) for address in addresses]
        return int.from_bytes(self._call(target, call_data(function, *words)), "big")

    def _call(self, target: str, data: bytes) -> bytes:
        view = {"to": target, "data": "0x" + data.hex()}
        result = _bytes(self._ask("eth_call", [view, "latest"]))
        if len(result) != 32:
            raise ChainError(f"contract gave no word: target={target}, bytes={len(result)}")
        return result

    def _ask(self, method: str, arguments: list[Any]) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}
        try:
            reply = self._client.post(self._path, orjson.dumps(request))
        except HostError:
            raise ChainError(f"node does not answer: method={method}") from None
        error = reply.field("error")
        if reply.status != 200 or error or reply.field("result") is None:
            words = str(error.get("message", "") if isinstance(error, dict) else "")[:100]
            raise ChainError(
                f"node refused: method={method}, status={reply.status}, error={words!r}"
            )
        return reply.field("result")


def _bytes(text: Any) -> bytes:
    try:
        return bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError:
        raise ChainError("node's answer is not hexadecimal") from None
