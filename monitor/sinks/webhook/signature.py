"""Standard Webhooks signatures: HMAC-SHA256 over ``id.timestamp.body``.

Source: https://github.com/standard-webhooks/standard-webhooks, spec 1.0.0, read
2026-11. Several keys give several signatures, so that a receiver may change its
secret without a gap.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def keys(secret: str) -> tuple[bytes, ...]:
    """Read secrets separated by space: ``whsec_`` and base64, or the text itself.

    Raises ValueError, which does not show the secret.
    """
    found = tuple(_key(word) for word in secret.split())
    if not all(found) or not found:
        raise ValueError("the signing secret is empty")
    return found


def headers(
    keys: Sequence[bytes], id_: str, timestamp: int, body: bytes
) -> dict[str, str]:
    signed = f"{id_}.{timestamp}.".encode() + body
    named = {"webhook-id": id_, "webhook-timestamp": str(timestamp)}
    if not keys:
        return named
    return {**named, "webhook-signature": " ".join(_sign(key, signed) for key in keys)}


def _key(word: str) -> bytes:
    if not word.startswith(PREFIX):
        return word.encode()
    encoded = word.removeprefix(PREFIX)
    try:
        # Receivers' libraries accept keys without padding, so they are about.
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        raise ValueError(
            f"what follows {PREFIX} in the signing secret is not base64"
        ) from None


def _sign(key: bytes, signed: bytes) -> str:
    digest = hmac.digest(key, signed, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"
