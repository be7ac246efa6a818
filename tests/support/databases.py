"""Databases on a real PostgreSQL server, made for one test each."""

import functools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

from monitor.store import migrating, postgres

LOCAL: Final = "postgresql://127.0.0.1:5432/postgres"


@functools.cache
def server() -> URL | str:
    """Give the server of ``TEST_POSTGRES_URL``, or of this machine; or why not."""
    url = make_url(os.environ.get("TEST_POSTGRES_URL", LOCAL))
    try:
        with administering(url) as connection:
            right = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = user"
            [may] = connection.execute(right).fetchone() or [False]
    except psycopg.OperationalError as error:
        return f"no PostgreSQL at TEST_POSTGRES_URL or {LOCAL}: {error}"
    return url if may else f"the user of {LOCAL} may not create databases"


def found() -> URL:
    """Give the server; skip the test where there is none."""
    url = server()
    if isinstance(url, str):
        pytest.skip(url)
    return url


@contextmanager
def administering(url: URL) -> Iterator[psycopg.Connection]:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True, connect_timeout=5) as connection:
        yield connection


@contextmanager
def created(url: URL, like: str = "template0", encoding: str = "UTF8") -> Iterator[URL]:
    """Create a database *like* another one; it is dropped in the end."""
    name = f"job_monitor_{uuid.uuid4().hex}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING {} LOCALE 'C'")
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with administering(url) as connection:
        names = (sql.Identifier(name), sql.Identifier(like), sql.Literal(encoding))
        connection.execute(create.format(*names))
    try:
        yield url.set(database=name)
    finally:
        with administering(url) as connection:
            connection.execute(drop.format(sql.Identifier(name)))


@contextmanager
def migrated(url: URL) -> Iterator[URL]:
    with created(url) as made:
        with postgres.connected(made) as engine, engine.connect() as connection:
            migrating.migrate(connection)
        yield made


def written(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
