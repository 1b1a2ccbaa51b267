"""Who an order is from: the wallet that holds the funds and the key that signs for it.

```
type                 maker            signer           signature
0  EOA               EOA              EOA              65 bytes over the order's digest
1  POLY_PROXY        proxy            EOA              the same
2  POLY_GNOSIS_SAFE  Safe             EOA              the same
3  POLY_1271         deposit wallet   deposit wallet   317 bytes, `poly1271`
```
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from signer.address import parse_address, to_checksum
from signer.ecdsa import SigningKey


class SignatureType(IntEnum):
    """The venue's own numbers: what is signed."""

    EOA = 0
    POLY_PROXY = 1
    POLY_GNOSIS_SAFE = 2
    POLY_1271 = 3


@dataclass(frozen=True, slots=True)
class Wallet:
    """A funder and its key. maker and signer are checksummed, as they are signed and sent."""

    key: SigningKey
    signature_type: SignatureType
    maker: str

    @classmethod
    def of(cls, key: SigningKey, signature_type: int, funder: str) -> Wallet:
        """Return the wallet; ValueError for an unknown type or an EOA that funds from elsewhere."""
        kind = SignatureType(signature_type)
        maker = to_checksum(parse_address(funder))
        if kind is SignatureType.EOA and maker != key.address:
            raise ValueError(f"an EOA is its own funder: funder={maker}, address={key.address}")
        return cls(key, kind, maker)

    @property
    def signer(self) -> str:
        """The address in the order's signer field."""
        return self.maker if self.signature_type is SignatureType.POLY_1271 else self.key.address
