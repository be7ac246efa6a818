"""What proves to a webhook's receiver who we are: signing keys and headers."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from monitor.sinks import secrets
from monitor.sinks.webhook import signature
from monitor.sinks.webhook.config import WebhookConfig


class Credentials(Struct, frozen=True):
    """*robot* signs as robots want it; *secrets* are the texts that nobody may see."""

    keys: tuple[bytes, ...] = ()
    headers: Mapping[str, str] = {}
    robot: str = ""
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Credentials(…)"

    def masked(self, text: str) -> str:
        """Blot out every secret in what the other side said."""
        return secrets.masked(text, self.secrets)


async def read(settings: WebhookConfig) -> Credentials:
    """Gather them from the configuration and its files, the files read anew."""
    secret = settings.secret.get_secret_value() if settings.secret else ""
    keys = signature.keys(secret) if secret else ()
    if settings.secret_file:
        secret = await secrets.text(settings.secret_file)
        keys = secrets.checked(signature.keys, secret, settings.secret_file)
    headers = await secrets.headers(settings.headers, settings.headers_file)
    robot = await secrets.word(settings.robot_secret, settings.robot_secret_file)
    url = urlsplit(settings.url.get_secret_value())
    known = (*secret.split(), *headers.values(), robot, url.path, url.query)
    return Credentials(keys, headers, robot, known)
