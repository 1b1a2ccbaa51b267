"""Import of Web3 secret storage, version 3: the JSON key files of geth, MetaMask and eth-account.

Its cost parameters are bounded before anything is allocated. Source: the Web3 Secret Storage
definition; names of fields come in any case.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from engine.host.errors import RefuseError
from signer.ecdsa import SECRET_BYTES, SigningKey
from signer.keccak import keccak256

FILE_BYTES_MAX = 64 * 1024
VERSION = 3
SCRYPT_BYTES_MAX = 1 << 29  # geth uses half of it
SCRYPT_WORK_MAX = 1 << 24  # n * r * p; geth uses an eighth of it
PBKDF2_ROUNDS_MAX = 10_000_000

_Positive = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
_Hex = Annotated[str, msgspec.Meta(pattern=r"^(0x)?([0-9a-fA-F]{2})+\Z", max_length=1024)]


class _Params(msgspec.Struct):
    salt: _Hex
    dklen: Annotated[int, msgspec.Meta(ge=32, le=32)]
    n: _Positive = 1
    r: _Positive = 1
    p: _Positive = 1
    c: _Positive = 1
    prf: str = "hmac-sha256"


class _CipherParams(msgspec.Struct):
    iv: _Hex


class _Crypto(msgspec.Struct):
    cipher: str
    cipherparams: _CipherParams
    ciphertext: _Hex
    kdf: str
    kdfparams: _Params
    mac: _Hex


class _KeyFile(msgspec.Struct):
    crypto: _Crypto
    address: str = ""


def read_web3(path: Path) -> bytes:
    """Return the text of a key file; RefuseError naming it when unreadable or too long."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise RefuseError(f"key file cannot be read: file={path}, {error.strerror}") from None
    if len(text) > FILE_BYTES_MAX:
        raise RefuseError(f"key file is too long: file={path}, bytes_max={FILE_BYTES_MAX}")
    return text


def decrypt_web3(text: bytes, passphrase: bytearray, source: Path) -> bytearray:
    """Return the 32-byte private key of a key file; the caller wipes it.

    Raises RefuseError naming `source`: not such a file, another version, out-of-bounds or unknown
    parameters, a wrong passphrase, or a key that is not the stated address's.
    """
    found = _parsed(text, source)
    crypto = found.crypto
    ciphertext = _bytes(crypto.ciphertext)
    iv = _bytes(crypto.cipherparams.iv)
    if crypto.cipher.lower() != "aes-128-ctr" or len(iv) != 16 or len(ciphertext) != SECRET_BYTES:
        raise RefuseError(f"key file is not 32 bytes of aes-128-ctr: file={source}")
    derived = _derived(crypto, passphrase, source)
    if not hmac.compare_digest(keccak256(derived[16:32] + ciphertext), _bytes(crypto.mac)):
        raise RefuseError(f"key file does not open, the passphrase is wrong: file={source}")
    decryptor = Cipher(AES(derived[:16]), CTR(iv)).decryptor()
    private_key = bytearray(decryptor.update(ciphertext) + decryptor.finalize())
    _check_address(private_key, found.address, source)
    return private_key


def _parsed(text: bytes, source: Path) -> _KeyFile:
    try:
        value = _lower(msgspec.json.decode(text, type=dict[str, Any]))
        if value.get("version") != VERSION:
            raise RefuseError(f"not a Web3 key file of version {VERSION}: file={source}")
        return msgspec.convert(value, _KeyFile)
    except (ValueError, RecursionError) as error:
        raise RefuseError(f"not a Web3 key file: file={source}, {error}") from None


def _lower(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key.lower(): _lower(each) for key, each in value.items()}


def _derived(crypto: _Crypto, passphrase: bytearray, source: Path) -> bytes:
    """Return 32 bytes: half a cipher key, half a key of the checksum."""
    params = crypto.kdfparams
    salt = _bytes(params.salt)
    if crypto.kdf == "pbkdf2" and params.prf == "hmac-sha256" and params.c <= PBKDF2_ROUNDS_MAX:
        return hashlib.pbkdf2_hmac("sha256", passphrase, salt, params.c, params.dklen)
    memory = 128 * params.n * params.r
    is_bounded = memory <= SCRYPT_BYTES_MAX and params.n * params.r * params.p <= SCRYPT_WORK_MAX
    if crypto.kdf == "scrypt" and is_bounded:
        try:
            return hashlib.scrypt(
                passphrase,
                salt=salt,
                n=params.n,
                r=params.r,
                p=params.p,
                maxmem=2 * SCRYPT_BYTES_MAX,
                dklen=params.dklen,
            )
        except (ValueError, MemoryError):
            pass  # n is no power of two, or there is not so much memory
    raise RefuseError(f"key file has a derivation we refuse: file={source}, kdf={crypto.kdf[:9]!r}")


def _check_address(private_key: bytearray, stated: str, source: Path) -> None:
    try:
        key = SigningKey(bytes(private_key))
    except ValueError as error:
        raise RefuseError(f"key file holds no usable key: file={source}, {error}") from None
    key.wipe()
    if stated and stated.lower().removeprefix("0x") != key.address[2:].lower():
        raise RefuseError(f"key file's key is another address's: file={source}, key={key.address}")


def _bytes(digits: str) -> bytes:
    return bytes.fromhex(digits.removeprefix("0x"))
