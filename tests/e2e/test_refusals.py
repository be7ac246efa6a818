"""What cannot be worked with ends in 78 and a sentence; what can is worked with."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from monitor.simulator.server import serving
from tests.e2e.daemon import Daemon, running
from tests.e2e.site import Site
from tests.support import worlds

NOWHERE = "http://127.0.0.1:9"


async def refused(site: Site) -> str:
    """Start a daemon that must refuse to work; give what it says."""
    with running(site.config) as daemon:
        assert await daemon.ended() == 78, daemon.text
    assert "Traceback" not in daemon.text
    return daemon.text


async def test_a_second_daemon_on_one_store_names_the_first_and_leaves_it_alone(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, NOWHERE)
    with running(site.config) as first:
        await first.says("service.started")
        said = await refused(site)
        assert await first.stop() == 0

    assert f"{site.database} is in use" in said
    assert f"process {first.process.pid}" in said


async def test_a_store_is_free_again_as_soon_as_its_daemon_is_killed(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, NOWHERE)
    with running(site.config) as first:
        await first.says("service.started")

    with running(site.config) as second:
        await second.says("service.started")
        assert await second.stop() == 0


@pytest.mark.parametrize(
    "content", [b"not a database" * 500, b"SQLite format 3\0" * 99]
)
async def test_a_file_that_is_no_store_is_refused_with_its_name_and_kept(
    tmp_path: Path, content: bytes
) -> None:
    site = Site(tmp_path, NOWHERE)
    site.database.write_bytes(content)

    said = await refused(site)

    assert str(site.database) in said
    assert site.database.read_bytes() == content


async def test_a_store_of_a_newer_version_is_refused_and_kept(tmp_path: Path) -> None:
    site = Site(tmp_path, NOWHERE)
    with running(site.config) as daemon:
        await daemon.says("service.started")
        assert await daemon.stop() == 0
    with closing(sqlite3.connect(site.database)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()

    said = await refused(site)

    assert f"{site.database} was written by a newer Job Monitor" in said


async def test_an_unknown_key_is_refused_with_its_place_and_the_nearest_key(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, NOWHERE)
    site.config.write_text("sources:\n  prod:\n    api: esb-v2\n    urll: x\n")

    said = await refused(site)

    assert f"{site.config}:4:5: sources.prod.urll" in said
    assert "did you mean 'url'?" in said


async def test_a_quarantined_entry_is_warned_about_and_the_rest_is_watched(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    good, also_good = world.play("hang"), world.play("hang")
    async with serving(world) as url:
        site = Site(tmp_path, url)
        site.watch(good, "nonsense", "2/", also_good, "elsewhere/2/1")
        with running(site.config) as daemon:
            await daemon.reaches(lambda: len(world.record.instances) == 2, "polls")
            assert await daemon.stop() == 0

    assert places(daemon) == [f"{site.watch_list}:{n}" for n in (2, 3, 5)]


def places(daemon: Daemon) -> list[str]:
    """List where the entries stand that were warned about; nothing else is loud."""
    assert {line["event"] for line in daemon.loud()} == {"watchlist.quarantined"}
    return [":".join(line["fault"].split(":")[:2]) for line in daemon.loud()]
