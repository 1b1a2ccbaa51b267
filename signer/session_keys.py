"""Session keys: another key that a deposit wallet lets sign for it.

The wallet needs to know who signed, so the signature travels in an envelope:

```
abi.encode(bytes32 session signer, bytes32 0, bytes signature) ‖ 0x6492 sixteen times
```
Source: the official client; only signature type 3 knows session keys.
"""

from __future__ import annotations

from signer.abi import dynamic_bytes, encode
from signer.eip712 import WORD_BYTES, address_word

_MARK = bytes.fromhex("6492") * 16


def wrap_session_signature(session_signer: str, signature: bytes) -> bytes:
    """Return the envelope around a session key's signature, of 65 bytes, 317 or any other length.

    session_signer: the address of the session key. Raises ValueError for a malformed address.
    """
    return encode(address_word(session_signer), bytes(WORD_BYTES), dynamic_bytes(signature)) + _MARK
