"""Where the signer's key comes from: the account in paper mode, a keystore it opens in live mode.

```
paper   account with private_key                             the local exchange made it up
live    account without it, keystore FILE, passphrase in a pipe   nobody else ever has the key
```
"""

from __future__ import annotations

from pathlib import Path

from engine.host.errors import RefuseError
from engine.host.runfile import RunFile
from engine.host.secret_bytes import read_secret, wipe
from engine.host.secrets import Account, SealedKey
from signer.ecdsa import SigningKey
from signer.keystore import KeyMaterial, unseal
from signer.keystore_file import read_keystore
from signer.wallets import Wallet


def opened(keystore: Path, passphrase_fd: int) -> KeyMaterial:
    """Return what a keystore holds, the passphrase read from a descriptor and forgotten.

    The owner wipes it: use it in a `with` block. RefuseError names the file, and quotes nothing.
    """
    passphrase = read_secret(passphrase_fd, f"passphrase of {keystore.name}")
    try:
        return unseal(read_keystore(keystore), passphrase, keystore)
    finally:
        wipe(passphrase)


def wallet_of(runtime: RunFile, account: Account, sealed: SealedKey | None) -> Wallet:
    """Return the wallet that signs for an account; RefuseError when it cannot.

    In live mode the key is taken out of the keystore and from nowhere else, and the keystore must
    be of the account that was examined before the start.
    """
    is_live = runtime.settings["run"]["mode"] == "live"
    if is_live != (sealed is not None) or is_live != (account.private_key is None):
        mode = "live" if is_live else "paper"
        wanted = "comes out of a keystore" if is_live else "comes with the account"
        raise RefuseError(f"the signer needs a private key: mode={mode}, where it {wanted}")
    try:
        if sealed is not None:
            return _unsealed_wallet(account, sealed)
        assert account.private_key is not None
        key = SigningKey.from_hex(account.private_key)
        return Wallet.of(key, account.signature_type, account.funder)
    except ValueError as error:
        raise RefuseError(f"the account cannot sign: {error}") from None


def _unsealed_wallet(account: Account, sealed: SealedKey) -> Wallet:
    with opened(sealed.keystore, sealed.passphrase_fd) as material:
        theirs = (account.address, account.signature_type, account.funder)
        ours = (material.address, material.signature_type, material.funder)
        if theirs != ours:
            raise RefuseError(
                f"keystore is not the one that was examined: file={sealed.keystore}, "
                f"examined={account.address}, opened={material.address}"
            )
        return Wallet.of(material.signing_key(), material.signature_type, material.funder)
