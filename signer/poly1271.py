"""Deposit wallets (signature type 3): an owner's signature that the wallet contract vouches for.

The wallet checks ERC-1271 signatures in the nested form of ERC-7739: the order is wrapped in a
`TypedDataSign` struct naming the wallet, and the parts the contract needs to rebuild the digest
travel behind the signature.

```
 0             65                97              129                 315          317
 +-------------+-----------------+---------------+-------------------+------------+
 | r‖s‖v       | domain of the   | struct hash   | Order type text   | its length |
 | 65          | exchange  32    | 32            | 186               | 2, BE      |
 +-------------+-----------------+---------------+-------------------+------------+
```
"""

from __future__ import annotations

from signer.eip712 import address_word, hash_text, typed_digest, uint_word
from signer.keccak import keccak256
from signer.order_v2 import ORDER_TYPE, ZERO_WORD

WALLET_NAME_HASH = hash_text("DepositWallet")
WALLET_VERSION_HASH = hash_text("1")
SIGN_TYPE_HASH = hash_text(
    "TypedDataSign(Order contents,string name,string version,uint256 chainId,"
    "address verifyingContract,bytes32 salt)" + ORDER_TYPE
)
SIGNATURE_BYTES = 317
ORDER_TYPE_TAIL = ORDER_TYPE.encode() + len(ORDER_TYPE).to_bytes(2, "big")


def wallet_digest(separator: bytes, contents: bytes, chain_id: int, wallet: str) -> bytes:
    """Return the 32 bytes the wallet's owner signs.

    separator: of the exchange. contents: the order's struct hash. wallet: the deposit wallet.
    """
    return typed_digest(separator, keccak256(wrapped_words(contents, chain_id, wallet)))


def wrapped_words(contents: bytes, chain_id: int, wallet: str) -> bytes:
    """Return the seven words of the `TypedDataSign` struct: 224 bytes, contents at 32…63."""
    words = [
        SIGN_TYPE_HASH,
        contents,
        WALLET_NAME_HASH,
        WALLET_VERSION_HASH,
        uint_word(chain_id),
        address_word(wallet),
        ZERO_WORD,
    ]
    return b"".join(words)


def wrap_signature(signature: bytes, separator: bytes, contents: bytes) -> bytes:
    """Return the 317-byte wallet signature around the owner's 65 bytes."""
    return signature + separator + contents + ORDER_TYPE_TAIL
