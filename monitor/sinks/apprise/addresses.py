"""Addresses of Apprise: read, checked, and made into services of it.

Apprise connects as it likes, past the guard of our own HTTP client. So it must not
stand in for a webhook: what posts to any host is refused unless somebody insists,
and so are redirects and unverified TLS.
"""

import logging
import re
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import unquote

import anyio
import apprise
from apprise.common import NotifyType, OverflowMode
from msgspec import Struct
from pydantic import SecretStr

from monitor import errors
from monitor.formats.letter import Letter, Markup
from monitor.sinks import secrets
from monitor.sinks.apprise import config as written
from monitor.sinks.apprise.config import AppriseConfig

# Source: Apprise's plugins, read 2026-11: these post to a host that the address names
# and do nothing that our webhook, which is guarded, does not do.
UNGUARDED: Final = frozenset(
    {"json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises"}
)

# What it says is in our errors, masked; its details repeat what servers say.
_log = logging.getLogger("apprise")
_log.propagate = False
_log.setLevel(logging.WARNING)


_TYPES: Final = {
    "critical": NotifyType.FAILURE,
    "warning": NotifyType.WARNING,
    "": NotifyType.SUCCESS,
}


class Address(Struct, frozen=True):
    """*secrets* are all words of the address: any of them may be a token."""

    name: str
    service: apprise.Apprise
    secrets: Collection[str]

    def __repr__(self) -> str:
        return f"Address({self.name})"

    def tell(self, letter: Letter, markup: Markup) -> str:
        """Tell it, and wait; gives why that failed, or nothing."""
        result = self.service.notify(
            letter.body,
            letter.title,
            notify_type=_TYPES.get(letter.severity, NotifyType.WARNING),
            body_format=markup,
        )
        if result:
            return ""
        said = [entry.message for entry in result.logs()]
        return secrets.masked(said[-1] if said else "refused", self.secrets)


async def read(config: AppriseConfig) -> tuple[Address, ...]:
    """Make a service of each; Misconfigured says which cannot be used, and why."""
    urls, path = config.urls, config.urls_file
    if path is not None:
        urls = secrets.checked(written.lines, await secrets.text(path), path)
    # Apprise imports a hundred plugins at the first.
    return await anyio.to_thread.run_sync(_addresses, config, urls)


def _addresses(config: AppriseConfig, urls: Sequence[SecretStr]) -> tuple[Address, ...]:
    asset = apprise.AppriseAsset(
        app_id="Job Monitor",
        app_desc="Job Monitor",
        app_url="",
        async_mode=False,
        http_redirects=False,
        service_timeout=0,
    )
    found = []
    for number, url in enumerate(urls, 1):
        where = f"sink {config.name}: address {number} of {len(urls)}"
        found.append(_address(config, url.get_secret_value(), asset, where))
    return tuple(found)


def _address(
    config: AppriseConfig, url: str, asset: apprise.AppriseAsset, where: str
) -> Address:
    scheme = url.partition("://")[0].lower()
    if scheme in UNGUARDED and not config.allow_unguarded:
        raise errors.Misconfigured(
            f"{where}: {scheme}:// reaches any host: use a webhook, or allow_unguarded"
        )
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        raise errors.Misconfigured(f"{where}: Apprise cannot use this {scheme}://")
    if not service.verify_certificate or service.redirects:
        raise errors.Misconfigured(
            f"{where}: neither verify=no nor redirect=yes is taken"
        )
    if "overflow=" not in url:
        service.overflow_mode = OverflowMode.TRUNCATE
    # It would sleep 5.5 s between two messages; when to try again is the dispatcher's.
    service.request_rate_per_sec = 0
    patience = config.timeout.total_seconds()
    service.socket_connect_timeout = min(service.socket_connect_timeout, patience)
    service.socket_read_timeout = min(service.socket_read_timeout, patience)
    alone = apprise.Apprise(asset=asset)
    alone.add(service)
    return Address(str(service.service_name), alone, _words(url))


def _words(url: str) -> set[str]:
    """List the words of an address, as they are and decoded."""
    rest = url.partition("://")[2]
    words = {rest, *re.split(r"[/:?@&=,]", rest)}
    return {form for word in words for form in (word, unquote(word))}
