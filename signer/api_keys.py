"""API keys: made and found again with the wallet's own signature.

A key set belongs to an address and a nonce. Creating it a second time is refused, deriving gives it
back as often as asked, so nothing has to be kept but the private key.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from signer.auth import ApiCredentials, decode_secret, l1_headers
from signer.ecdsa import SigningKey
from signer.rest import Reply, RestClient, RestError

CREATE_PATH = "/auth/api-key"
DERIVE_PATH = "/auth/derive-api-key"
_EXISTS = 400  # what the venue answers where there is a key set already, or none to derive


class ApiKeyError(RestError):
    """The venue gave no key set; the message has its status and words, and no secret."""


class Obtained(NamedTuple):
    """A key set, and whether it was made just now."""

    credentials: ApiCredentials
    is_new: bool


def create(
    client: RestClient, key: SigningKey, chain_id: int, nonce: int = 0
) -> ApiCredentials | None:
    """Return a new key set; None where one exists for this address and nonce."""
    reply = client.post(CREATE_PATH, headers=l1_headers(key, chain_id, _now_s(), nonce))
    return None if reply.status == _EXISTS else _credentials(reply, "created")


def derive(
    client: RestClient, key: SigningKey, chain_id: int, nonce: int = 0
) -> ApiCredentials | None:
    """Return the key set made earlier; None where there is none."""
    reply = client.get(DERIVE_PATH, headers=l1_headers(key, chain_id, _now_s(), nonce))
    return None if reply.status in (_EXISTS, 404) else _credentials(reply, "derived")


def create_or_derive(
    client: RestClient, key: SigningKey, chain_id: int, nonce: int = 0
) -> Obtained:
    """Return the key set of an address and nonce, made if there is none yet."""
    made = create(client, key, chain_id, nonce)
    if made is not None:
        return Obtained(made, True)
    found = derive(client, key, chain_id, nonce)
    if found is None:
        raise ApiKeyError(f"API key can neither be created nor derived: address={key.address}")
    return Obtained(found, False)


def _credentials(reply: Reply, how: str) -> ApiCredentials:
    """Return the key set in an answer; ApiKeyError for anything else."""
    if reply.status == 200:
        parts = [reply.field(name) for name in ("apiKey", "secret", "passphrase")]
        if all(isinstance(part, str) and part for part in parts):
            try:
                decode_secret(parts[1])
            except ValueError:
                raise ApiKeyError("API key has a secret that is not base64") from None
            return ApiCredentials(*parts)
        raise ApiKeyError(f"API key was not {how}: the answer is not a key set")
    words = str(reply.field("error") or "")[:100]
    raise ApiKeyError(f"API key was not {how}: status={reply.status}, error={words!r}")


def _now_s() -> int:
    return int(time.time())
