"""User and password, as FastStream hands them to most drivers."""

from typing import cast

from faststream.security import BaseSecurity, SASLPlaintext

from monitor.sinks.broker.carriers import Place


def plaintext(place: Place, *, user: str | None, password: str | None) -> BaseSecurity:
    user = place.config.username or user
    password = place.password or password
    if password is None:
        return BaseSecurity(ssl_context=place.tls)
    return SASLPlaintext(cast("str", user), password, ssl_context=place.tls)
