"""Where the store is: a file, or a database that several machines can reach.

A bad address is never quoted in the complaint: it may hold a password.
"""

import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import unquote

from pydantic import AfterValidator

_SQLITE: Final = "sqlite:///"
_DATABASE: Final = re.compile(
    r"""postgresql(?:\+psycopg)?://
    (?:[^:@/?]* (?: : (?P<password>[^@?]*) )? @)?
    [^@/?]* / (?P<name>[^/?@]+)
    (?: \? [^@]* )?""",
    re.VERBOSE,
)


def _checked(url: str) -> str:
    if not url.isprintable() or (" " in url and url.startswith("postgres")):
        raise ValueError("must be printable, without spaces")
    (_check_database if url.startswith("postgres") else _check_file)(url)
    return url


def _check_file(url: str) -> None:
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or path in ("", ":memory:"):
        raise ValueError(
            "must name a file or a database, like sqlite:///monitor.db"
            " or postgresql://user@host/database"
        )
    if "?" in path or "#" in path:
        raise ValueError("takes no options after the name of the file")


def _check_database(url: str) -> None:
    if "#" in url or url.count("@") > 1:
        raise ValueError("must have @ as %40 and # as %23 in a name or a password")
    if not _DATABASE.fullmatch(url):
        raise ValueError("must be like postgresql://user:password@host/database")
    if "password=" in url:
        raise ValueError(
            "must have its password before the @, or none (see PGPASSFILE)"
        )


def placed(url: str, directory: Path) -> str:
    """Let the path of a file start at *directory*."""
    if _DATABASE.fullmatch(url):
        return url
    return f"{_SQLITE}{directory / url.removeprefix(_SQLITE)}"


def file(url: str, directory: Path) -> Path:
    """Give the file of a store; of a database, what its file would be called."""
    found = _DATABASE.fullmatch(url)
    if found is None:
        return directory / url.removeprefix(_SQLITE)
    plain = re.sub(r"[^\w-]", "", unquote(found["name"]))
    return directory / f"{plain or 'monitor'}.db"


def passwords(url: str) -> set[str]:
    """Give the password that a URL holds, as it is and as it is written there."""
    found = _DATABASE.fullmatch(url)
    written = (found["password"] or "") if found else ""
    return {written, unquote(written)} - {""}


def shown(url: str, hidden: str) -> str:
    """Write *hidden* instead of the password."""
    found = _DATABASE.fullmatch(url)
    if found is None or not found["password"]:
        return url
    start, end = found.span("password")
    return f"{url[:start]}{hidden}{url[end:]}"


StoreUrl = Annotated[str, AfterValidator(_checked)]
