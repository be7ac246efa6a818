"""In what the ways of one configuration differ from those of another."""

import pytest
from msgspec import structs

from monitor.cli import ways
from monitor.core.ways import WayData

SRE = WayData(sink="sre", route="default", group="prod/biz/2/1")
BOSS = WayData(sink="boss", route="routes[0]", group="prod/biz/2/1", after=1800)
NOBODY = structs.replace(SRE, route="", group="")
UNFIT = structs.replace(SRE, unfit='team="dba"')
BY_TEAM = structs.replace(SRE, group='prod/{team="dba"}')


@pytest.mark.parametrize(
    ("now", "instead", "said"),
    [
        ([SRE], [SRE], []),
        ([SRE], [structs.replace(SRE, route="routes[7]")], []),
        ([SRE], [SRE, BOSS], ["+boss"]),
        ([SRE, BOSS], [NOBODY, BOSS], ["-sre"]),
        ([UNFIT], [SRE], ["+sre"]),
        ([SRE], [BY_TEAM], ["-sre in prod/biz/2/1", '+sre in prod/{team="dba"}']),
        ([BOSS], [structs.replace(BOSS, after=300)], ["boss after 30m → 5m"]),
    ],
)
def test_a_change_is_who_is_told_in_which_group_and_how_patiently(
    now: list[WayData], instead: list[WayData], said: list[str]
) -> None:
    assert list(ways.changes(now, instead)) == said


def test_who_is_told_is_named_once() -> None:
    assert ways.told([SRE, BY_TEAM, BOSS]) == "sre, boss"
    assert ways.told([UNFIT, NOBODY]) == "nobody"
