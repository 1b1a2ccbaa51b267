"""A private key at rest: one text file that says nothing without its passphrase.

```
line 1   header, canonical JSON      who and how, readable by anyone; authenticated by the cipher
line 2   base64                      AES-256-GCM of the secrets, and its 16-byte tag
line 3   64 hex digits               SHA-256 of the lines above: tells damage from a bad passphrase

secrets  32 bytes private key | JSON of the API credentials, or nothing
```
The cipher's key is argon2id(passphrase, salt); its additional data is line 1 without the newline,
so nobody can point a key at another funder. Salt and nonce are fresh each time a key is sealed.

Every refusal is a RefuseError with one line that names the file; none holds a secret. Keys are kept
in bytearrays and overwritten after use; what the libraries copy inside is theirs to forget.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

import msgspec
from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.host.errors import RefuseError
from engine.host.secret_bytes import wipe
from engine.host.secrets import Account, ApiCredentials
from signer.auth import decode_secret
from signer.ecdsa import SECRET_BYTES, SigningKey
from signer.wallets import SignatureType, Wallet

FORMAT = "halftick-keystore"
VERSION = 1
FILE_BYTES_MAX = 16 * 1024
MEMORY_KIB_MAX = 1 << 20  # what a hostile header may make us allocate: 1 GiB
PASSES_MAX = 16
LANES_MAX = 16
_SALT_BYTES = 16
_NONCE_BYTES = 12
_TAG_BYTES = 16
_CIPHER_KEY_BYTES = 32
_MEMORY_KIB_A_LANE = 8  # argon2's own minimum

_AddressText = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at the passphrase costs: argon2id's memory, passes over it, and lanes."""

    memory_kib: int = 256 * 1024
    passes: int = 3
    lanes: int = 2


class Kdf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the passphrase becomes the cipher's key; bounded, so that reading one is harmless."""

    name: Literal["argon2id"] = "argon2id"
    memory_kib: Annotated[int, msgspec.Meta(ge=_MEMORY_KIB_A_LANE, le=MEMORY_KIB_MAX)]
    passes: Annotated[int, msgspec.Meta(ge=1, le=PASSES_MAX)]
    lanes: Annotated[int, msgspec.Meta(ge=1, le=LANES_MAX)]
    salt: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]

    def __post_init__(self) -> None:
        if self.memory_kib < _MEMORY_KIB_A_LANE * self.lanes:
            raise ValueError("a lane needs 8 KiB of memory")


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a keystore tells without its passphrase. Believe it only once the file was opened."""

    format: Literal["halftick-keystore"] = "halftick-keystore"
    version: Literal[1] = 1
    address: _AddressText
    signature_type: Annotated[int, msgspec.Meta(ge=0, le=3)]
    funder: _AddressText
    has_api: bool
    created: Annotated[str, msgspec.Meta(max_length=32)]
    kdf: Kdf
    cipher: Literal["aes-256-gcm"] = "aes-256-gcm"
    nonce: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{24}\Z")]


class _Preamble(msgspec.Struct):
    """The two fields every version of the format begins with."""

    format: str = ""
    version: int = 0


@dataclass(slots=True)
class KeyMaterial:
    """An opened keystore. Use it in a `with` block: the private key is overwritten at its end."""

    private_key: bytearray = field(repr=False)
    address: str
    signature_type: int
    funder: str
    api: ApiCredentials | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        private_key: bytearray,
        signature_type: int = SignatureType.EOA,
        funder: str | None = None,
        api: ApiCredentials | None = None,
    ) -> KeyMaterial:
        """Return the material of a 32-byte key, which it owns from here on.

        funder: None = the key's own address.  Raises ValueError for a scalar that is no key, an EOA
        funded from elsewhere, another wallet without its funder, or an API secret not in base64.
        """
        if funder is None and signature_type != SignatureType.EOA:
            raise ValueError(f"only an EOA is its own funder: signature_type={signature_type}")
        if api is not None:
            decode_secret(api.secret)
        key = SigningKey(bytes(private_key))
        try:
            wallet = Wallet.of(key, signature_type, funder or key.address)
        finally:
            key.wipe()
        return cls(private_key, key.address, int(wallet.signature_type), wallet.maker, api)

    def signing_key(self) -> SigningKey:
        """Return a key to sign with; its owner wipes it."""
        return SigningKey(bytes(self.private_key))

    def account(self) -> Account:
        """Return the account to hand to the signer; RefuseError without API credentials."""
        if self.api is None:
            raise RefuseError(f"keystore has no API credentials: address={self.address}")
        return Account(
            address=self.address,
            funder=self.funder,
            api=self.api,
            signature_type=self.signature_type,
            private_key="0x" + self.private_key.hex(),
        )

    def texts(self) -> list[str]:
        """Return its secrets as the texts they would leak as, to look for them elsewhere."""
        api = [] if self.api is None else [self.api.secret, self.api.passphrase]
        return [self.private_key.hex(), *api]

    def wipe(self) -> None:
        """Overwrite the private key."""
        wipe(self.private_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wipe()


def seal(
    material: KeyMaterial, passphrase: bytearray, cost: Cost, created: str, source: Path
) -> bytes:
    """Return the keystore of a key under a passphrase; it will be the file `source`.

    created: ISO time, for people.  Raises RefuseError for a cost that `unseal` would not pay.
    """
    kdf = Kdf(
        memory_kib=cost.memory_kib,
        passes=cost.passes,
        lanes=cost.lanes,
        salt=secrets.token_hex(_SALT_BYTES),
    )
    header = Header(
        address=material.address,
        signature_type=material.signature_type,
        funder=material.funder,
        has_api=material.api is not None,
        created=created,
        kdf=kdf,
        nonce=secrets.token_hex(_NONCE_BYTES),
    )
    first = msgspec.json.encode(header)
    read_header(first, source)  # a constructor checks no bounds, a decoder does
    api = b"" if material.api is None else msgspec.json.encode(material.api)
    plaintext = bytearray(SECRET_BYTES + len(api))
    plaintext[:SECRET_BYTES] = material.private_key
    plaintext[SECRET_BYTES:] = api
    try:
        cipher = _cipher(passphrase, kdf, source)
        ciphertext = cipher.encrypt(bytes.fromhex(header.nonce), plaintext, first)
    finally:
        wipe(plaintext)
    signed = first + b"\n" + base64.b64encode(ciphertext) + b"\n"
    return signed + hashlib.sha256(signed).hexdigest().encode() + b"\n"


def read_header(data: bytes, source: Path) -> Header:
    """Return a keystore's header; no passphrase is needed and nothing in it is proven."""
    first = data.partition(b"\n")[0]
    try:
        preamble = msgspec.json.decode(first, type=_Preamble)
    except (ValueError, RecursionError):
        preamble = _Preamble()
    if preamble.format != FORMAT:
        raise RefuseError(f"not a halftick keystore: file={source}")
    if preamble.version != VERSION:
        raise RefuseError(
            f"keystore is of an unknown version: file={source}, version={preamble.version}, "
            f"known={VERSION}"
        )
    try:
        header = msgspec.json.decode(first, type=Header)
    except (ValueError, RecursionError) as error:
        raise RefuseError(f"keystore header is refused: file={source}, {error}") from None
    if msgspec.json.encode(header) != first:
        raise RefuseError(f"keystore header is not canonical: file={source}")
    return header


def unseal(data: bytes, passphrase: bytearray, source: Path) -> KeyMaterial:
    """Return what a keystore holds.

    Raises RefuseError naming `source`: not a keystore, an unknown version, out-of-bounds
    parameters, damage, a wrong passphrase, or contents that contradict the header.
    """
    header = read_header(data, source)
    first, ciphertext = _parts(data, source)
    plaintext = bytearray(len(ciphertext) - _TAG_BYTES)
    cipher = _cipher(passphrase, header.kdf, source)
    try:
        cipher.decrypt_into(bytes.fromhex(header.nonce), ciphertext, first, plaintext)
        material = _material(plaintext, header)
    except InvalidTag:
        raise RefuseError(
            f"keystore does not open, passphrase wrong or file altered: file={source}"
        ) from None
    except ValueError as error:  # msgspec's are ValueErrors too; none quotes what it saw
        raise RefuseError(f"keystore holds no usable key: file={source}, {error}") from None
    finally:
        wipe(plaintext)
    if material.address != header.address:
        material.wipe()
        raise RefuseError(
            f"keystore's key is another address's: file={source}, header={header.address}, "
            f"key={material.address}"
        )
    return material


def _parts(data: bytes, source: Path) -> tuple[bytes, bytes]:
    """Return header line and ciphertext of a whole file; RefuseError for a damaged one."""
    signed, _, rest = data.removesuffix(b"\n").rpartition(b"\n")
    signed += b"\n"
    lines = data.split(b"\n")
    is_whole = len(lines) == 4 and rest == hashlib.sha256(signed).hexdigest().encode()
    if is_whole:
        try:
            ciphertext = base64.b64decode(lines[1], validate=True)
        except binascii.Error:
            is_whole = False
        else:
            is_whole = len(ciphertext) >= SECRET_BYTES + _TAG_BYTES
    if not is_whole:
        raise RefuseError(f"keystore is damaged: file={source}, bytes={len(data)}")
    return lines[0], ciphertext


def _cipher(passphrase: bytearray, kdf: Kdf, source: Path) -> AESGCM:
    try:
        key = hash_secret_raw(
            bytes(passphrase),
            bytes.fromhex(kdf.salt),
            time_cost=kdf.passes,
            memory_cost=kdf.memory_kib,
            parallelism=kdf.lanes,
            hash_len=_CIPHER_KEY_BYTES,
            type=Type.ID,
        )
    except (HashingError, MemoryError):
        raise RefuseError(
            f"memory is not enough for the keystore: file={source}, memory_kib={kdf.memory_kib}"
        ) from None
    return AESGCM(key)


def _material(plaintext: bytearray, header: Header) -> KeyMaterial:
    text = bytes(memoryview(plaintext)[SECRET_BYTES:])
    api = msgspec.json.decode(text, type=ApiCredentials) if text else None
    private_key = bytearray(memoryview(plaintext)[:SECRET_BYTES])
    try:
        return KeyMaterial.of(private_key, header.signature_type, header.funder, api)
    except BaseException:
        wipe(private_key)
        raise
