"""One schema for both engines, brought up to date by the same scripts."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from monitor.store import journal

SCRIPTS: Final = Path(__file__).parent / "migrations"

# Until the end of the transaction, so that of several only one migrates.
_ALONE: Final = text("""SELECT
    set_config('lock_timeout', '60s', true), pg_advisory_xact_lock(7815264)""")


def migrate(connection: Connection, scripts: Path = SCRIPTS) -> None:
    """Bring the schema of *connection* up to date, in one transaction.

    Raises alembic's CommandError where it comes from a newer version.
    """
    config = _config(scripts)
    config.attributes["connection"] = connection
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(_ALONE)
        command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """Tell the version of the schema; None where there is none yet."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """Tell the version that this Job Monitor needs."""
    return ScriptDirectory.from_config(_config(SCRIPTS)).get_current_head()


def _config(scripts: Path) -> Config:
    config = Config()
    # A per cent sign would be an interpolation.
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return config


def last_position(connection: Connection) -> int:
    with connection.begin():
        return journal.end(connection)
