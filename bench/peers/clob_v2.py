"""py-clob-client-v2, asked by JSON lines: what it signs, what it sends and how long it takes.

Run by the Python of its own environment.
"""

from __future__ import annotations

import json
from typing import Any

from lines import counted, serve, timed
from py_clob_client_v2.clob_types import (
    ApiCreds,
    CreateOrderOptions,
    OrderArgsV2,
    OrderType,
    RequestArgs,
)
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.headers.headers import create_level_1_headers, create_level_2_headers
from py_clob_client_v2.order_builder.builder import OrderBuilder
from py_clob_client_v2.order_utils import (
    ExchangeOrderBuilderV1,
    ExchangeOrderBuilderV2,
    Side,
    SignatureTypeV1,
    SignatureTypeV2,
)
from py_clob_client_v2.order_utils.model.order_data_v1 import OrderDataV1, order_to_json_v1
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, order_to_json_v2
from py_clob_client_v2.signer import Signer


def text(payload: dict[str, Any]) -> str:
    """Return the body as the client's post_order writes it."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


def order(values: dict[str, Any]) -> dict[str, str]:
    """Sign an order; return its body and, for generations 2 and 3, its id."""
    signer = Signer(values["private_key"], values["chain_id"])
    contracts = get_contract_config(values["chain_id"])
    if values["generation"] == 1:
        contract = contracts.neg_risk_exchange if values["neg_risk"] else contracts.exchange
        first = ExchangeOrderBuilderV1(
            contract, values["chain_id"], signer, lambda: str(values["salt"])
        )
        signed = first.build_signed_order(
            OrderDataV1(
                maker=values["maker"],
                signer=signer.address(),
                taker="0x" + "00" * 20,
                tokenId=str(values["token_id"]),
                makerAmount=str(values["maker_amount"]),
                takerAmount=str(values["taker_amount"]),
                side=Side(values["side"]),
                feeRateBps=str(values["fee_rate_bps"]),
                nonce=str(values["nonce"]),
                expiration=str(values["expires_s"]),
                signatureType=SignatureTypeV1(values["signature_type"]),
            )
        )
        payload = order_to_json_v1(signed, values["owner"], values["tif"], values["post_only"])
        return {"body": text(payload)}
    contract = contracts.neg_risk_exchange_v2 if values["neg_risk"] else contracts.exchange_v2
    builder = ExchangeOrderBuilderV2(
        contracts.exchange_v3 if values["generation"] == 3 else contract,
        values["chain_id"],
        signer,
        lambda: str(values["salt"]),
        domain_version=str(values["generation"]),
    )
    data = OrderDataV2(
        maker=values["maker"],
        signer=values["signer"],
        tokenId=str(values["token_id"]),
        makerAmount=str(values["maker_amount"]),
        takerAmount=str(values["taker_amount"]),
        side=Side(values["side"]),
        signatureType=SignatureTypeV2(values["signature_type"]),
        timestamp=str(values["timestamp_ms"]),
        builder=values["builder"],
        expiration=str(values["expires_s"]),
    )
    signed = builder.build_signed_order(data)
    payload = order_to_json_v2(signed, values["owner"], values["tif"], values["post_only"])
    order_hash = builder.build_order_hash(builder.build_order_typed_data(signed))
    return {"body": text(payload), "order_hash": order_hash}


def l1(private_key: str, chain_id: int, timestamp_s: int, nonce: int) -> dict[str, str]:
    """Return the L1 headers."""
    return create_level_1_headers(Signer(private_key, chain_id), nonce, timestamp_s)


def l2(
    private_key: str, credentials: list[str], timestamp_s: int, method: str, path: str, body: str
) -> dict[str, str]:
    """Return the L2 headers."""
    request = RequestArgs(method=method, request_path=path, serialized_body=body or None)
    return create_level_2_headers(
        Signer(private_key, 137), ApiCreds(*credentials), request, timestamp_s
    )


class Hot:
    """One order after another of one wallet, from arguments to body, without network look-ups."""

    def __init__(self, private_key: str, token_id: str, owner: str) -> None:
        self._builder = OrderBuilder(Signer(private_key, 137))
        self._options = CreateOrderOptions(tick_size="0.01", neg_risk=False)
        self._token_id = token_id
        self._owner = owner

    def __call__(self) -> bytes:
        """Return the body's bytes."""
        arguments = OrderArgsV2(token_id=self._token_id, price=0.48, size=10, side="BUY")
        signed = self._builder.build_order(arguments, self._options)
        return text(order_to_json_v2(signed, self._owner, OrderType.GTC)).encode()


def time(count: int, **hot: str) -> list[int]:
    """Return the nanoseconds of so many orders."""
    return timed(Hot(**hot), count)


def cost(**hot: str) -> dict[str, int]:
    """Return the bytecodes and calls of an order."""
    call = Hot(**hot)
    call()
    return counted(call)


if __name__ == "__main__":
    serve({"order": order, "l1": l1, "l2": l2, "time": time, "cost": cost})
