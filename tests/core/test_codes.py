"""The tables, written out again from the reference (2.1 and 2.2)."""

from collections import Counter
from datetime import datetime

import pytest

from monitor.core import codes
from monitor.core.codes import Code, Meaning
from monitor.core.model import Snapshot
from tests.core.builders import NOW

RUNS = {
    1: ("waiting", False),
    2: ("running", False),
    3: ("succeeded", True),
    4: ("failed", True),
    5: ("succeeded", True),
    6: ("succeeded", True),
    7: ("needs a person", False),
    8: ("failed", True),
    9: ("failed", True),
    10: ("running", False),
    11: ("failed", True),
    12: ("failed", True),
    13: ("failed", True),
    14: ("failed", True),
    15: ("waiting", False),
}

UNFINISHED_HOSTS = {5: "waiting", 7: "running"}
SUCCESSFUL_HOSTS = {3, 9}
FAILED_HOSTS = {
    *(0, 1, 2, 11, 12, 13, 15, 16, 17, 18),
    *(101, 102, 103, 104, 202, 203),
    *(301, 303, 310, 311, 312, 320, 321, 329, 399),
    *(403, 404, 500),
}


def test_jobs_and_steps_mean_what_the_reference_says() -> None:
    assert {
        number: (str(code.meaning), code.finished)
        for number, code in codes.RUNS.items()
    } == RUNS


def test_hosts_mean_what_the_reference_says() -> None:
    expected = dict.fromkeys(FAILED_HOSTS, ("failed", True))
    expected |= dict.fromkeys(SUCCESSFUL_HOSTS, ("succeeded", True))
    expected |= {number: (word, False) for number, word in UNFINISHED_HOSTS.items()}

    assert {
        number: (str(code.meaning), code.finished)
        for number, code in codes.HOSTS.items()
    } == expected


@pytest.mark.parametrize("table", [codes.RUNS, codes.HOSTS])
def test_every_code_stands_under_its_own_number(table: dict[int, Code]) -> None:
    assert [code.number for code in table.values()] == list(table)


@pytest.mark.parametrize("code", [*codes.RUNS.values(), *codes.HOSTS.values()])
def test_every_code_has_a_name_in_both_languages(code: Code) -> None:
    assert code.en.isascii()
    assert code.en.strip()
    assert not code.zh.isascii()


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_no_two_codes_of_a_job_share_a_name(locale: str) -> None:
    names = Counter(code.name(locale) for code in codes.RUNS.values())

    assert names.most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    ("locale", "shared"), [("en", [{1, 310}, {16, 102}]), ("zh-CN", [{1, 310}])]
)
def test_two_host_codes_share_a_name_only_where_they_mean_the_same(
    locale: str, shared: list[set[int]]
) -> None:
    by_name: dict[str, set[int]] = {}
    for number, code in codes.HOSTS.items():
        by_name.setdefault(code.name(locale), set()).add(number)

    assert [numbers for numbers in by_name.values() if len(numbers) > 1] == shared


def test_a_name_is_chinese_only_for_a_chinese_reader() -> None:
    code = codes.run(4)

    assert [code.name(locale) for locale in ("en", "de", "zh-CN", "zh-cn")] == [
        "failed",
        "failed",
        "执行失败",
        "执行失败",
    ]


def test_an_unknown_status_of_a_job_is_not_finished_and_shown_raw() -> None:
    code = codes.run(99)

    assert code == Code(
        99, "unknown (99)", "未知 (99)", Meaning.UNKNOWN, finished=False
    )


def test_an_unknown_status_of_a_host_is_a_failure_and_shown_raw() -> None:
    code = codes.host(77)

    assert code == Code(77, "unknown (77)", "未知 (77)", Meaning.FAILED, finished=True)
    assert codes.host_failed(77)


@pytest.mark.parametrize("number", [*codes.HOSTS])
def test_every_known_host_status_is_either_failed_or_successful_or_unfinished(
    number: int,
) -> None:
    kinds = [
        codes.host_failed(number),
        number in codes.HOSTS_SUCCEEDED,
        not codes.host(number).finished,
    ]

    assert kinds.count(True) == 1


@pytest.mark.parametrize(
    ("one", "other", "worst"),
    [(9, 11, 11), (9, 5, 5), (5, 7, 7), (7, 104, 104), (11, 104, 104), (9, 77, 77)],
)
def test_the_worst_of_two_is_failed_then_running_then_waiting(
    one: int, other: int, worst: int
) -> None:
    assert codes.worst(one, other) == codes.worst(other, one) == worst


@pytest.mark.parametrize("ended_at", [None, NOW])
@pytest.mark.parametrize("status", [*RUNS, 0, -1, 99])
def test_finished_follows_our_own_table_and_nothing_else(
    status: int, ended_at: datetime | None
) -> None:
    snapshot = Snapshot(status=status, ended_at=ended_at)

    assert snapshot.finished is RUNS.get(status, ("", False))[1]
