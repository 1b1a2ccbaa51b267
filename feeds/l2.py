"""L2 headers: what makes a REST question ours. Reading needs the API credentials, never the key.

```
message   = timestamp (seconds) + METHOD + path          (no body in what a feed asks)
signature = urlsafe_base64(HMAC_SHA256(urlsafe_base64_decode(secret), message))
```
The path is the route alone, without the query. Source: the venue's API description.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from engine.host.secrets import Account


def l2_headers(account: Account, method: str, path: str, timestamp_s: int) -> dict[str, str]:
    """Return the headers of a question without a body. ValueError: the secret is no base64."""
    secret = account.api.secret
    key = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    message = f"{timestamp_s}{method}{path}".encode()
    signature = base64.urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256))
    return {
        "POLY_ADDRESS": account.address,
        "POLY_SIGNATURE": signature.decode(),
        "POLY_TIMESTAMP": str(timestamp_s),
        "POLY_API_KEY": account.api.key,
        "POLY_PASSPHRASE": account.api.passphrase,
    }
