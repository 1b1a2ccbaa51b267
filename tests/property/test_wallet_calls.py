"""Call data and wallet signatures equal those of independent encoders, on any input."""

from __future__ import annotations

from typing import Any

from eth_abi.abi import encode
from eth_abi.packed import encode_packed
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from signer import relayer, wallet_calls
from signer.address import to_checksum
from signer.ecdsa import SigningKey
from signer.keccak import keccak256
from signer.session_keys import wrap_session_signature
from signer.wallet_calls import WalletCall

addresses = st.binary(min_size=20, max_size=20).map(to_checksum)
uints = st.integers(0, (1 << 256) - 1)
secrets = st.integers(1, 1 << 250).map(lambda n: n.to_bytes(32, "big"))
calls = st.builds(WalletCall, addresses, st.binary(max_size=100), uints)
batches = st.lists(calls, min_size=1, max_size=4)
BATCH_TYPES = {
    "Call": [
        {"name": "target", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "data", "type": "bytes"},
    ],
    "Batch": [
        {"name": "wallet", "type": "address"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
        {"name": "calls", "type": "Call[]"},
    ],
}
SAFE_FIELDS = (
    ("to", "address"),
    ("value", "uint256"),
    ("data", "bytes"),
    ("operation", "uint8"),
    ("safeTxGas", "uint256"),
    ("baseGas", "uint256"),
    ("gasPrice", "uint256"),
    ("gasToken", "address"),
    ("refundReceiver", "address"),
    ("nonce", "uint256"),
)


def selector(function: str) -> bytes:
    """The first four bytes of a function's hash."""
    return keccak256(function.encode())[:4]


@given(addresses, addresses, uints)
def test_approvals_equal_the_reference_encoder(token: str, spender: str, amount: int) -> None:
    """Both kinds of approval are what Solidity's encoder makes of them."""
    expected = selector("approve(address,uint256)")
    expected += encode(["address", "uint256"], [spender, amount])
    assert wallet_calls.erc20_approve(token, spender, amount) == (token, expected, 0)
    expected = selector("setApprovalForAll(address,bool)")
    expected += encode(["address", "bool"], [spender, True])
    assert wallet_calls.erc1155_set_approval_for_all(token, spender) == (token, expected, 0)


@given(addresses, addresses, st.binary(min_size=32, max_size=32), uints)
def test_conditional_token_calls_equal_the_reference_encoder(
    target: str, collateral: str, condition_id: bytes, amount: int
) -> None:
    """Split, merge and redeem name both outcomes and no parent."""
    both = [collateral, bytes(32), condition_id, [1, 2]]
    types = ["address", "bytes32", "bytes32", "uint256[]"]
    split = wallet_calls.ctf_split(target, collateral, condition_id, amount)
    merge = wallet_calls.ctf_merge(target, collateral, condition_id, amount)
    redeem = wallet_calls.ctf_redeem(target, collateral, condition_id)
    amounts = encode([*types, "uint256"], [*both, amount])
    assert split.data == bytes.fromhex("72ce4275") + amounts
    assert merge.data == bytes.fromhex("9e7212ad") + amounts
    assert redeem.data == bytes.fromhex("01b7037c") + encode(types, both)


@given(addresses, st.binary(min_size=31, max_size=31), st.integers(0, 1), uints)
def test_router_calls_equal_the_reference_encoder(
    router: str, condition_id: bytes, outcome: int, amount: int
) -> None:
    """The router's condition ids are 31 bytes, padded behind."""
    amounts = encode(["bytes31", "uint256"], [condition_id, amount])
    redeemed = encode(["bytes31", "uint256", "uint256"], [condition_id, outcome, amount])
    split = wallet_calls.router_split(router, condition_id, amount)
    merge = wallet_calls.router_merge(router, condition_id, amount)
    redeem = wallet_calls.router_redeem(router, condition_id, outcome, amount)
    assert split.data == bytes.fromhex("82d3b9f1") + amounts
    assert merge.data == bytes.fromhex("5b63685e") + amounts
    assert redeem.data == bytes.fromhex("d217a3cc") + redeemed


@given(batches)
def test_packed_calls_equal_the_reference_encoder(batch: list[WalletCall]) -> None:
    """A proxy's array of tuples and a Safe's packed bytes are Solidity's."""
    tuples = [(1, call.to, call.value, call.data) for call in batch]
    expected = selector("proxy((uint8,address,uint256,bytes)[])")
    expected += encode(["(uint8,address,uint256,bytes)[]"], [tuples])
    assert relayer.proxy_call_data(batch) == expected
    packed = b"".join(
        encode_packed(
            ["uint8", "address", "uint256", "uint256", "bytes"],
            [0, call.to, call.value, len(call.data), call.data],
        )
        for call in batch
    )
    if len(batch) > 1:
        expected = selector("multiSend(bytes)") + encode(["bytes"], [packed])
        assert relayer.safe_transaction(batch).call.data == expected


@given(secrets, addresses, uints, uints, batches, st.sampled_from([137, 80002]))
def test_a_wallet_batch_is_signed_as_typed_data(
    secret: bytes, wallet: str, nonce: int, deadline_s: int, batch: list[WalletCall], chain_id: int
) -> None:
    """The owner's signature is the one any EIP-712 wallet would make."""
    key = SigningKey(secret)
    given_batch = relayer.WalletBatch(wallet, nonce, deadline_s, tuple(batch))
    signature = key.sign(relayer.wallet_batch_digest(given_batch, chain_id))
    message: dict[str, Any] = {
        "wallet": wallet,
        "nonce": nonce,
        "deadline": deadline_s,
        "calls": [{"target": c.to, "value": c.value, "data": c.data} for c in batch],
    }
    domain = {
        "name": "DepositWallet",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": wallet,
    }
    signable = encode_typed_data(domain, BATCH_TYPES, message)
    assert signature == Account.from_key(secret).sign_message(signable).signature


@given(secrets, addresses, uints, batches)
def test_a_safe_transaction_is_signed_as_a_personal_message(
    secret: bytes, safe: str, nonce: int, batch: list[WalletCall]
) -> None:
    """The digest is the Safe's typed data; the signature is of a message that holds it."""
    transaction = relayer.safe_transaction(batch)
    zero = "0x" + "00" * 20
    message = {
        "to": transaction.call.to,
        "value": transaction.call.value,
        "data": transaction.call.data,
        "operation": transaction.operation,
        "safeTxGas": 0,
        "baseGas": 0,
        "gasPrice": 0,
        "gasToken": zero,
        "refundReceiver": zero,
        "nonce": nonce,
    }
    types = {"SafeTx": [{"name": name, "type": kind} for name, kind in SAFE_FIELDS]}
    signable = encode_typed_data({"chainId": 137, "verifyingContract": safe}, types, message)
    digest = keccak256(b"\x19" + signable.version + signable.header + signable.body)
    assert relayer.safe_digest(transaction, safe, nonce, 137) == digest
    plain = Account.from_key(secret).sign_message(encode_defunct(primitive=digest)).signature
    signed = relayer.sign_safe(SigningKey(secret), transaction, safe, nonce, 137)
    assert signed == plain[:64] + bytes((plain[64] + 4,))


@given(st.binary(max_size=300))
def test_a_personal_message_is_hashed_as_wallets_do(message: bytes) -> None:
    """The digest is that of EIP-191, whatever the length."""
    key = SigningKey(bytes(31) + b"\x07")
    expected = Account.from_key(bytes(31) + b"\x07").sign_message(encode_defunct(message)).signature
    assert key.sign(relayer.personal_digest(message)) == expected


@given(addresses, st.binary(max_size=400))
def test_a_session_envelope_equals_the_reference_encoder(signer: str, signature: bytes) -> None:
    """Any inner signature is wrapped as the wallet contract decodes it."""
    word = bytes.fromhex(signer[2:]).rjust(32, b"\0")
    expected = encode(["bytes32", "bytes32", "bytes"], [word, bytes(32), signature])
    assert wrap_session_signature(signer, signature) == expected + bytes.fromhex("6492" * 16)
