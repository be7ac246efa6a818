from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.watch import NO_OPTIONS, Options, Severity
from monitor.watchlist import formats
from tests.watchlist.reading import faults, keys, only, parsed


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("2/20000153", "prod/biz/2/20000153"),
        ("stag/2/20000153", "stag/biz/2/20000153"),
        ("biz_set/9/20000153", "prod/biz_set/9/20000153"),
        ("stag/biz_set/9/20000153", "stag/biz_set/9/20000153"),
        ("2 20000153", "prod/biz/2/20000153"),
        ("2\t20000153\tteam=sre", "prod/biz/2/20000153"),
        ("  2/20000153  ", "prod/biz/2/20000153"),
        ("2/20000153 source=stag", "stag/biz/2/20000153"),
        ("stag/2/20000153 source=stag", "stag/biz/2/20000153"),
        ("2/020000153 # a comment", "prod/biz/2/20000153"),
        ("2 20000153 #comment", "prod/biz/2/20000153"),
    ],
)
def test_a_line_names_an_instance(line: str, key: str) -> None:
    assert keys(parsed("list.txt", line)) == [key]


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        ("team=sre env=prod", {"team": "sre", "env": "prod"}),
        ("team='site reliability'", {"team": "site reliability"}),
        ('team="site reliability"', {"team": "site reliability"}),
        ('"team=site reliability"', {"team": "site reliability"}),
        (r'say="a \"word\" and \\"', {"say": 'a "word" and \\'}),
        ("a='b'\"c\"d", {"a": "bcd"}),
        (r"path=C:\temp", {"path": r"C:\temp"}),
        ("ticket=#12 # and why", {"ticket": "#12"}),
        ("query=a=b", {"query": "a=b"}),
        ("team=运维", {"team": "运维"}),
        ("team=", {}),
        ("# team=sre", {}),
    ],
)
def test_words_after_the_key_are_labels(words: str, labels: dict[str, str]) -> None:
    assert only(parsed("list.txt", f"2/1 {words}")).labels == labels


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("severity=critical", Options(severity=Severity.CRITICAL)),
        ("settle=2h5m", Options(settle=timedelta(hours=2, minutes=5))),
        ("settle=0s", Options(settle=timedelta())),
        ("overdue_after=90d", Options(overdue_after=timedelta(days=90))),
        (
            "until=2026-12-31",
            Options(until=datetime(2026, 12, 31, 23, 59, 59, 999999, UTC)),
        ),
        (
            "until=2026-12-31T18:00:00+08:00",
            Options(until=datetime(2026, 12, 31, 10, tzinfo=UTC)),
        ),
        (
            "until='2026-12-31 18:00'",
            Options(until=datetime(2026, 12, 31, 18, tzinfo=UTC)),
        ),
        ("severity=", NO_OPTIONS),
    ],
)
def test_some_words_are_options_and_no_labels(words: str, options: Options) -> None:
    watch = only(parsed("list.txt", f"2/1 {words}"))

    assert watch.options == options
    assert watch.labels == {}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("2", "1:1: '2' is not [source/][scope_type/]scope_id/job_instance_id"),
        ("2 # no", "1:1: '2' is not [source/][scope_type/]scope_id/job_instance_id"),
        (" 2/x", "1:2: job id 'x' is not a positive whole number"),
        ("2/0", "1:1: job id '0' is not between 1 and 2^63 - 1"),
        ("2/1e3", "1:1: job id '1e3' is not a positive whole number"),
        ("dev/2/1", "1:1: unknown source 'dev'; configured: prod, stag"),
        (
            "prod/set/2/1",
            "1:1: unknown scope type 'set'; known: biz, biz_set, tenant_set",
        ),
        ("2/1 word", "1:5: 'word' is not label=value"),
        ("2 1 3", "1:5: '3' is not label=value"),
        ("2/1  team=a team=b", "1:13: label 'team' is given twice"),
        ("2/1 settle=1h settle=2h", "1:15: 'settle' is given twice"),
        (
            "2/1 9a=b",
            (
                "1:5: '9a' is no label name: write letters, digits and _, at most 128,"
                " no digit first"
            ),
        ),
        ("2/1 type=x", "1:5: 'type' is reserved: no label can have this name"),
        ("2/1 bk_biz_id=2", "1:5: 'bk_biz_id' is part of the key: write it there"),
        ("2/1 a='b c", "1:7: a quote is opened here and never closed"),
        ("2/1 source=dev", "1:5: unknown source 'dev'; configured: prod, stag"),
        ("prod/2/1 source=stag", "1:1: 'prod/2/1' contradicts source=stag"),
        ("2/1 severity=bad", "1:5: severity 'bad' is neither warning nor critical"),
        ("2/1 settle=30", "1:5: '30' has no unit: write 30s for seconds"),
        (
            "2/1 until=tomorrow",
            "1:5: 'tomorrow' is no date: write 2026-12-31 or 2026-12-31T18:00:00+08:00",
        ),
        (
            "2/1 until=0001-01-01T00:00:00+08:00",
            (
                "1:5: '0001-01-01T00:00:00+08:00' is no date: write 2026-12-31"
                " or 2026-12-31T18:00:00+08:00"
            ),
        ),
        (
            f"2/1 a={'x' * 257}",
            "1:5: label 'a' has more than 256 characters or an unprintable one",
        ),
        (
            "2/1 a=b\x1bc",
            "1:5: label 'a' has more than 256 characters or an unprintable one",
        ),
    ],
)
def test_a_bad_line_is_a_fault_with_its_place(line: str, fault: str) -> None:
    found = parsed("list.txt", line)

    assert faults(found) == [f"list.txt:{fault}"]
    assert keys(found) == []
    assert found.legible


def test_more_than_32_labels_are_refused() -> None:
    words = " ".join(f"l{number}=x" for number in range(33))

    assert faults(parsed("list.txt", f"2/1 {words}")) == [
        "list.txt:1: 33 labels are more than 32"
    ]


def test_a_bad_line_costs_no_other_line() -> None:
    found = parsed("list.txt", "# jobs\r\n2/1\r\n\r\nx\r\n2/2 team=sre\r\n2/3")

    assert keys(found) == ["prod/biz/2/1", "prod/biz/2/2", "prod/biz/2/3"]
    assert [str(watch.place) for watch in found.watches] == [
        "list.txt:2",
        "list.txt:5",
        "list.txt:6",
    ]
    assert [str(fault.place) for fault in found.faults] == ["list.txt:4:1"]


def test_a_line_that_is_not_utf8_is_a_fault_of_its_own() -> None:
    found = parsed("list.txt", "\ufeff2/1 a=运\n".encode() + b"2/2 a=\xffb\n2/3")

    assert keys(found) == ["prod/biz/2/1", "prod/biz/2/3"]
    assert faults(found) == ["list.txt:2:7: is not UTF-8"]


def test_equal_labels_and_options_are_one_object() -> None:
    first, second, third = parsed(
        "list.txt", "2/1 a=b settle=1h\n2/2 a=b settle=1h # why\n2/3\n"
    ).watches

    assert first.labels is second.labels
    assert first.options is second.options
    assert first.key.scope_id is second.key.scope_id
    assert third.options is NO_OPTIONS


def test_faults_are_bounded_in_number_and_length() -> None:
    sources = tuple(f"source_{number}" for number in range(100))
    found = formats.parse("list.txt", b"dev/2/1\n" * 1_501, sources=sources)

    assert len(found.faults) == 1_001
    assert len(found.faults[0].reason) == 256
    assert str(found.faults[-1]) == "list.txt: 501 more faults"


printable = st.characters(min_codepoint=33, exclude_categories=("Cs", "Cc", "Z"))


@given(st.lists(st.text(printable | st.just(" "), min_size=1, max_size=20), max_size=5))
def test_any_quoted_value_comes_back_as_it_was(values: list[str]) -> None:
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    line = " ".join(f'l{index}="{value}"' for index, value in enumerate(escaped))

    assert only(parsed("list.txt", f"2/1 {line}")).labels == {
        f"l{index}": value for index, value in enumerate(values)
    }
