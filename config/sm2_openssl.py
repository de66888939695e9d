"""SM2 by the system's OpenSSL 3, through ctypes: 0.35 ms a signature. Every supported Linux has it."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import weakref
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_void_p
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from config.sm2_curve import POINT, PUBLIC_HEAD, SAMPLE_DATA, SAMPLE_POINT, SAMPLE_SIGNATURE, SIGNER

_MAX_DER = 80  # bytes of a signature in DER: 72 at the most
_KEYS = 256  # public keys that are held ready: reading one takes longer than verifying by it
# A PKCS #8 key up to its number: version 0, id-ecPublicKey on the curve, an ECPrivateKey (RFC 5915) without more.
_PRIVATE_HEAD = bytes.fromhex("3041020100301306072a8648ce3d020106082a811ccf5501822d0427302502010104" + "20")

_POINTER = POINTER(c_char_p)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "d2i_PUBKEY": (c_void_p, (c_void_p, _POINTER, c_long)),
    "d2i_AutoPrivateKey": (c_void_p, (c_void_p, _POINTER, c_long)),
    "i2d_PUBKEY": (c_int, (c_void_p, c_void_p)),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_new_from_pkey": (c_void_p, (c_void_p, c_void_p, c_void_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_set1_id": (c_int, (c_void_p, c_char_p, c_size_t)),  # in OpenSSL 1.1.1 a macro
    "EVP_MD_CTX_new": (c_void_p, ()),
    "EVP_MD_CTX_free": (None, (c_void_p,)),
    "EVP_MD_CTX_set_pkey_ctx": (None, (c_void_p, c_void_p)),
    "EVP_sm3": (c_void_p, ()),
    "EVP_DigestVerifyInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestVerify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "EVP_DigestSignInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestSign": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "ERR_clear_error": (None, ()),
}


class OpenSsl:
    name = "openssl"

    def __init__(self, lib: Any) -> None:
        self._lib = lib
        self._of = functools.lru_cache(_KEYS)(self._public)

    def verify(self, point: bytes, data: bytes, pair: bytes) -> bool:
        key = self._of(point)
        if key is None:
            return False
        made = encode_dss_signature(int.from_bytes(pair[:32], "big"), int.from_bytes(pair[32:], "big"))
        lib = self._lib
        with _Operation(lib, key) as context:
            return bool(
                lib.EVP_DigestVerifyInit(context, None, lib.EVP_sm3(), None, key.handle) == 1
                and lib.EVP_DigestVerify(context, made, len(made), data, len(data)) == 1
            )

    def key_pair(self, private: bytes) -> OpenSslKeyPair:
        key = self._read("d2i_AutoPrivateKey", _PRIVATE_HEAD + private)
        if key is None:
            raise ValueError("the key is none of SM2")
        return OpenSslKeyPair(self._lib, key)

    def _public(self, point: bytes) -> _Key | None:
        return self._read("d2i_PUBKEY", PUBLIC_HEAD + point)

    def _read(self, how: str, der: bytes) -> _Key | None:
        handle = getattr(self._lib, how)(None, byref(c_char_p(der)), len(der))
        self._lib.ERR_clear_error()
        return _Key(self._lib, handle) if handle else None


class OpenSslKeyPair:
    def __init__(self, lib: Any, key: _Key) -> None:
        self._lib, self._key = lib, key
        shown = ctypes.create_string_buffer(256)
        length = lib.i2d_PUBKEY(key.handle, byref(c_char_p(ctypes.addressof(shown))))
        self.point = shown.raw[max(0, length - POINT) : length]

    def sign(self, data: bytes) -> bytes:
        lib, made, length = self._lib, ctypes.create_string_buffer(_MAX_DER), c_size_t(_MAX_DER)
        with _Operation(lib, self._key) as context:
            if not (
                lib.EVP_DigestSignInit(context, None, lib.EVP_sm3(), None, self._key.handle) == 1
                and lib.EVP_DigestSign(context, made, byref(length), data, len(data)) == 1
            ):
                raise OSError("OpenSSL made no signature")
        return b"".join(one.to_bytes(32, "big") for one in decode_dss_signature(made.raw[: length.value]))


class _Key:
    """An EVP_PKEY, freed with its last reference. Any number of threads may use it at once."""

    def __init__(self, lib: Any, handle: int) -> None:
        self.handle = handle
        weakref.finalize(self, lib.EVP_PKEY_free, handle).atexit = False


class _Operation:
    """One signature, or one verification, with the signer's id set."""

    def __init__(self, lib: Any, key: _Key) -> None:
        self._lib = lib
        self._context = lib.EVP_MD_CTX_new()
        self._named = lib.EVP_PKEY_CTX_new_from_pkey(None, key.handle, None)

    def __enter__(self) -> int:
        self._lib.EVP_MD_CTX_set_pkey_ctx(self._context, self._named)
        self._lib.EVP_PKEY_CTX_set1_id(self._named, SIGNER, len(SIGNER))
        made: int = self._context
        return made

    def __exit__(self, *error: object) -> None:
        self._lib.ERR_clear_error()  # Python's own TLS, in this thread, would find it
        self._lib.EVP_MD_CTX_free(self._context)
        self._lib.EVP_PKEY_CTX_free(self._named)


def backend() -> OpenSsl | None:
    """None where there is no OpenSSL 3, or one that was built without SM2."""
    try:
        lib: Any = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    made = OpenSsl(lib)
    return made if made.verify(SAMPLE_POINT, SAMPLE_DATA, SAMPLE_SIGNATURE) else None
