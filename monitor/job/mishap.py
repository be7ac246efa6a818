"""What went wrong on the way to a source, in a few words without a secret.

The exception's own text is not used: it may hold the URL, or bytes of a stranger.
"""

from typing import Final

import aiohttp

from monitor.job import text

# The first class that fits counts: the narrow ones stand before the wide ones.
_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted"),
    (aiohttp.ClientConnectorSSLError, "TLS failed"),
    (aiohttp.ClientConnectorDNSError, "its name cannot be resolved"),
    (aiohttp.ClientProxyConnectionError, "the proxy cannot be reached"),
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ConnectionTimeoutError, "no connection in time"),
    (TimeoutError, "no answer in time"),
    (aiohttp.ServerDisconnectedError, "it hung up without an answer"),
    (aiohttp.ClientHttpProxyError, "the proxy refused"),
    (aiohttp.ClientPayloadError, "its answer broke off"),
    (aiohttp.ClientResponseError, "its answer was no HTTP"),
    (aiohttp.InvalidURL, "its URL is not usable"),
)

_HUNG_UP: Final = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientConnectionResetError,
    ConnectionResetError,
    BrokenPipeError,
)


def words(error: Exception) -> str:
    """Name what happened, and the system's own reason where there is one."""
    happened = next(
        (words for kind, words in _WORDS if isinstance(error, kind)),
        f"the connection failed ({type(error).__name__})",
    )
    reason = _reason(error)
    return f"{happened}: {reason}" if reason else happened


def hung_up(error: Exception) -> bool:
    """Tell whether a kept connection may have been closed just before we used it."""
    return isinstance(error, _HUNG_UP)


def _reason(error: Exception) -> str:
    inner = getattr(error, "certificate_error", None) or error
    reason = getattr(inner, "verify_message", "") or getattr(inner, "strerror", "")
    return text.plain(reason, 128) if isinstance(reason, str) else ""
