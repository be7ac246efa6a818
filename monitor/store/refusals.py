"""Why a database on PostgreSQL cannot be the store, and what to do about it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from alembic.util import CommandError
from sqlalchemy import URL, Connection
from sqlalchemy.exc import ArgumentError, DBAPIError

from monitor import errors
from monitor.store.group import gone, short

OLDEST: Final = 14

_DRIVERS: Final = ("postgresql", "postgresql+psycopg")


_UNRESOLVED: Final = "resolve|translate host"

# A server that lets nobody in gives no code, just words.
_SAID: Final = (
    (_UNRESOLVED, "write the host as it is called in the DNS"),
    ("password|authentication", "give it the right password; in a URL, @ is %40"),
    ('database ".*" does not exist', "create it: createdb --encoding UTF8 NAME"),
    ('role ".*" does not exist', "create it: createuser --pwprompt NAME"),
    ("pg_hba", "let it in with a line in the server's pg_hba.conf"),
    ("certificate|SSL", "see sslmode and sslrootcert of the URL"),
    ("invalid connection option|invalid .* value", "see the options behind the ?"),
)
_ELSE: Final = "see that a server runs there, and that host and port are right"

_CODES: Final = {
    "42501": 'let its user create tables: GRANT USAGE, CREATE ON SCHEMA public TO "USER"',
    "3F000": "let its search_path name a schema that exists",
    "25006": "it is read-only: name the primary",
    "42P07": "another program's database? give this one a database of its own",
    "42701": "another program's database? give this one a database of its own",
    "53100": "make room on its disk",
}
_BUSY: Final = {
    "40P01": "start again",
    "53300": "let the server have more connections",
    "55P03": "another program holds a lock; end it, and start again",
    "57014": "it was too slow; see what it is busy with, and start again",
    "57P01": "wait until it is there again",
    "57P02": "wait until it is there again",
    "57P03": "wait until it is there, and start again",
}

_PASSES: Final = frozenset({"25006", "53100"})
"""A failover, or somebody who makes room, may put an end to it."""


class InUse(errors.Misconfigured):
    """Somebody else works there."""


class NotNow(errors.Misconfigured):
    """A mistake at the first start; it passes where a daemon ran already."""


def sound(url: URL) -> URL:
    """Give *url* with the driver that we have; refuse what cannot be meant."""
    if url.drivername not in _DRIVERS:
        raise errors.Misconfigured("store: PostgreSQL is written postgresql://…")
    if not url.database:
        raise errors.Misconfigured(
            "store: name the database: postgresql://user@host/database"
        )
    if "@" in (url.host or ""):
        raise errors.Misconfigured("store: write @ in a password as %40")
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """Write *url* without its password and without options, which may be secret."""
    host = URL.create("postgresql", url.username, None, url.host, url.port)
    return host.set(database=url.database).render_as_string()


@contextmanager
def clear(url: URL) -> Iterator[None]:
    """Turn what goes wrong while the store is opened into Misconfigured, or Away."""
    try:
        yield
    except CommandError as error:
        raise errors.Misconfigured(
            f"store: {shown(url)} was written by a newer Job Monitor; upgrade this"
            " one, or give it another store"
        ) from error
    except errors.Away:
        raise
    except errors.StoreError as error:
        raise errors.Misconfigured(f"store: {shown(url)}: {error}") from error
    except ArgumentError as error:
        raise errors.Misconfigured(f"store: {shown(url)}: {_ELSE}") from error
    except DBAPIError as error:
        kind, remedy = _remedy(error)
        raise kind(f"store: {shown(url)}: {short(error)}; {remedy}") from error


def _remedy(error: DBAPIError) -> tuple[type[errors.MonitorError], str]:
    code = getattr(error.orig, "sqlstate", None)
    if code in _BUSY:
        return errors.Away, _BUSY[code]
    if code in _PASSES:
        return NotNow, _CODES[code]
    if code is not None:
        return errors.Misconfigured, _CODES.get(code, "see the log of the server")
    if gone(error):  # whatever it says of SSL: it was let in
        return errors.Away, _ELSE
    said = str(error.orig)
    for words, remedy in _SAID:
        if re.search(words, said):
            return NotNow if words == _UNRESOLVED else errors.Misconfigured, remedy
    return errors.Away, _ELSE


def unfit(connection: Connection, url: URL) -> None:
    """Refuse a server that is too old, cannot be written, or has no Unicode."""
    version, standby, read_only, encoding = connection.exec_driver_sql(
        "SELECT current_setting('server_version_num')::int / 10000,"
        " pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',"
        " current_setting('server_encoding')"
    ).one()
    kind, why = errors.Misconfigured, ""
    if version < OLDEST:
        why = f"is PostgreSQL {version}; it must be {OLDEST} or newer"
    elif encoding != "UTF8":
        why = f"has the encoding {encoding}; create it with --encoding UTF8"
    elif standby:
        kind, why = NotNow, "is a standby, which cannot be written; name the primary"
    elif read_only:
        kind, why = NotNow, "is read-only; name the primary"
    if why:
        raise kind(f"store: {shown(url)} {why}")


def in_use(url: URL, owners: Sequence[str]) -> InUse:
    return InUse(
        f"store: {shown(url)} is in use by Job Monitor on {' and '.join(owners)};"
        " stop it for this, or name another store"
    )
