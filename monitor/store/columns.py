"""What is written differently on SQLite and on PostgreSQL, and means the same."""

from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Dialect, Insert, Integer, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

NUL: Final = "\N{SYMBOL FOR NULL}"


class Words(TypeDecorator[str]):
    """Text that sorts by its bytes in UTF-8, wherever it is.

    PostgreSQL has no NUL in a text, so there is none on SQLite either.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TEXT(collation="C"))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value.replace("\0", NUL) if value else value


# SQLite gives numbers by itself to what is called INTEGER, and holds 64 bits there.
Number: Final = BigInteger().with_variant(Integer(), "sqlite")
Code: Final = Integer().with_variant(BigInteger(), "postgresql")
"""A status code, however strange."""


def new(connection: Connection, table: Table) -> Insert:
    """Insert rows into *table* but for those that are there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
