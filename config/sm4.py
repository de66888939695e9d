"""SM4 (GB/T 32907) in ECB with PKCS #7 padding: only for parties whose envelopes demand it.

ECB shows which blocks are equal, and does not show that something was changed. What the engine keeps for itself
is sealed by `config.crypto`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

BLOCK = 16  # bytes, as is a key
_PADDING = PKCS7(BLOCK * 8)


class Sm4Ecb:
    def __init__(self, key: bytes) -> None:
        """16 bytes. Raises ValueError."""
        self._cipher = Cipher(algorithms.SM4(key), modes.ECB())

    def encrypt(self, plain: bytes) -> bytes:
        padding, made = _PADDING.padder(), self._cipher.encryptor()
        return made.update(padding.update(plain) + padding.finalize()) + made.finalize()

    def decrypt(self, sealed: bytes) -> bytes:
        """Raises ValueError where it was not encrypted under this key."""
        made, padding = self._cipher.decryptor(), _PADDING.unpadder()
        return padding.update(made.update(sealed) + made.finalize()) + padding.finalize()
