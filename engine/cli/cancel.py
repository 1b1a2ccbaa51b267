"""Cancelling everything at the venue without the signer: the supervisor's last resort.

The API credentials are enough for it, and for nothing that could move funds.
"""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

import msgspec

from engine.host.errors import HostError
from engine.host.secrets import Account
from signer.auth import ApiCredentials, L2Signer

PATH = "/cancel-all"
ANSWER_BYTES_MAX = 1 << 20


class _Answer(msgspec.Struct):
    canceled: list[str] = []
    not_canceled: dict[str, str] = {}


def cancel_all(account: Account, rest_url: str, *, timeout_s: float = 3.0) -> bool:
    """Cancel every order of the account; return whether the venue says that none is left.

    Raises HostError when the venue cannot be reached or its answer cannot be read; neither the
    message nor its cause holds a credential.
    """
    api = ApiCredentials(account.api.key, account.api.secret, account.api.passphrase)
    url = urlsplit(rest_url)
    connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = connect(url.hostname or "", url.port, timeout=timeout_s)
    try:
        headers = L2Signer(api, account.address).headers(int(time.time()), "DELETE", PATH)
        connection.request("DELETE", url.path.rstrip("/") + PATH, headers=headers)
        response = connection.getresponse()
        text = response.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException, ValueError) as error:
        kind = type(error).__name__
        raise HostError(f"cancel-all did not get through: url={rest_url}, {kind}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise HostError(f"cancel-all was refused: url={rest_url}, status={response.status}")
    try:
        return not msgspec.json.decode(text, type=_Answer).not_canceled
    except ValueError:  # not JSON, or not UTF-8
        raise HostError(f"cancel-all has no readable answer: url={rest_url}") from None
