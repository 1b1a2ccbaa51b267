"""Account addresses: 20 bytes to hash, EIP-55 mixed-case text to show and send."""

from __future__ import annotations

from signer.keccak import keccak256

ADDRESS_BYTES = 20
ZERO_ADDRESS = "0x" + "00" * ADDRESS_BYTES


def to_checksum(address: bytes) -> str:
    """Return the EIP-55 text of a 20-byte address."""
    digits = address.hex()
    nibbles = keccak256(digits.encode()).hex()
    shown = (
        digit.upper() if int(nibble, 16) >= 8 else digit
        for digit, nibble in zip(digits, nibbles, strict=False)
    )
    return "0x" + "".join(shown)


def parse_address(text: str) -> bytes:
    """Return the 20 bytes of `0x` + 40 hex digits in any case.

    Raises ValueError naming the text when it is anything else. The mixed case is not checked: the
    venue itself sends lower case.
    """
    if not isinstance(text, str) or len(text) != 2 + 2 * ADDRESS_BYTES or text[:2] != "0x":
        raise ValueError(f"an address is 0x and 40 hex digits: address={text!r}")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise ValueError(f"an address is 0x and 40 hex digits: address={text!r}") from None
