import json
from datetime import UTC, datetime, timedelta

import pytest

from monitor.core.watch import Options, Severity
from tests.watchlist.reading import faults, keys, only, parsed

DOCUMENT = """\
# what we look at
defaults:
  source: stag
  severity: critical
  labels: {team: sre, env: prod}
watches:
  - 2/20000153
  - prod/2/20000154 env=test settle=1h
  - bk_biz_id: 2
    job_instance_id: 20000155
    severity: warning
    until: 2026-12-31
    labels:
      env: null
      wave: 3
discover:
  - bk_biz_id: 2
"""


def test_entries_are_texts_or_mappings() -> None:
    found = parsed("list.yaml", DOCUMENT)

    assert faults(found) == []
    assert keys(found) == [
        "stag/biz/2/20000153",
        "prod/biz/2/20000154",
        "stag/biz/2/20000155",
    ]
    assert [str(watch.place) for watch in found.watches] == [
        "list.yaml:7:5",
        "list.yaml:8:5",
        "list.yaml:9:5",
    ]


def test_defaults_hold_where_the_entry_says_nothing_else() -> None:
    first, second, third = parsed("list.yaml", DOCUMENT).watches

    assert first.labels == {"team": "sre", "env": "prod"}
    assert second.labels == {"team": "sre", "env": "test"}
    assert third.labels == {"team": "sre", "wave": "3"}
    assert first.options == Options(severity=Severity.CRITICAL)
    assert second.options == Options(
        severity=Severity.CRITICAL, settle=timedelta(hours=1)
    )
    assert third.options == Options(
        severity=Severity.WARNING,
        until=datetime(2026, 12, 31, 23, 59, 59, 999999, UTC),
    )


def test_json_is_read_with_its_places_too() -> None:
    found = parsed(
        "list.json",
        '{\n\t"watches": [\n\t\t"2/1",\n\t\t{"bk_biz_id": 2, "job_instance_id": "x"}\n\t]\n}',
    )

    assert keys(found) == ["prod/biz/2/1"]
    assert faults(found) == ["list.json:4:3: job id 'x' is not a positive whole number"]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_may_escape_what_it_likes(ascii_only: bool) -> None:  # noqa: FBT001
    label = 'a/b "运维" \\ud83d 😀'
    entry = {"bk_biz_id": 2, "job_instance_id": 1, "labels": {"a": label}}
    content = json.dumps({"watches": [entry]}, ensure_ascii=ascii_only)

    assert only(parsed("list.json", content)).labels == {"a": label}


@pytest.mark.parametrize(
    "content", ["", "# nothing\n", "---\n", "watches:\n", "watches: []", "discover: []"]
)
def test_a_document_may_be_empty(content: str) -> None:
    found = parsed("list.yml", content)

    assert (keys(found), faults(found), found.legible) == ([], [], True)


def test_a_scalar_is_the_text_that_was_written() -> None:
    watch = only(
        parsed(
            "list.yaml",
            "watches: [{bk_biz_id: 2, job_instance_id: 1,"
            " labels: {a: yes, b: 1e3, c: 0x10, d: '~', e: !!str 2026-01-01}}]",
        )
    )

    assert watch.labels == {
        "a": "yes",
        "b": "1e3",
        "c": "0x10",
        "d": "~",
        "e": "2026-01-01",
    }


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("2/x", "2:3: job id 'x' is not a positive whole number"),
        ("'#'", "2:3: the entry is empty"),
        ("", "2:2: the entry is empty"),
        ("[2/1]", "2:3: an entry must be a mapping: write key: value"),
        ("{bk_biz_id: 2}", "2:3: job_instance_id is missing"),
        (
            "{bk_biz_id: 2, job_instance: 1}",
            "2:18: unknown key 'job_instance'; did you mean 'job_instance_id'?",
        ),
        (
            "{bk_biz_id: 2, job_instance_id: 1, zzz: sre}",
            (
                "2:38: unknown key 'zzz'; known: bk_biz_id, bk_scope_type, bk_scope_id,"
                " job_instance_id, labels, source, severity, settle, overdue_after,"
                " stalled_after, until"
            ),
        ),
        ("{bk_biz_id: 2, bk_biz_id: 3}", "2:18: 'bk_biz_id' is given twice"),
        ("{bk_biz_id: [2]}", "2:15: 'bk_biz_id' is a text or a number"),
        ("{[a]: 2}", "2:4: a key is a plain word"),
        (
            "{bk_biz_id: 2, job_instance_id: 1, labels: {team: a, team: b}}",
            "2:56: 'team' is given twice",
        ),
        (
            "{bk_biz_id: 2, job_instance_id: 1, labels: {type: a}}",
            "2:53: 'type' is reserved: no label can have this name",
        ),
        (
            "{bk_biz_id: 2, job_instance_id: 1, labels: [a]}",
            "2:46: labels must be a mapping: write key: value",
        ),
        (
            "{bk_biz_id: 2, job_instance_id: 1, settle: 30}",
            "2:46: '30' has no unit: write 30s for seconds",
        ),
        (
            "{bk_biz_id: 2, job_instance_id: 1, source: dev}",
            "2:46: unknown source 'dev'; configured: prod, stag",
        ),
        (
            "{" + ", ".join(f"k{n}: 1" for n in range(65)) + "}",
            "2:3: more than 64 keys",
        ),
    ],
)
def test_a_bad_entry_costs_only_itself(entry: str, fault: str) -> None:
    found = parsed("list.yaml", f"watches:\n- {entry}\n- 2/7\n")

    assert faults(found) == [f"list.yaml:{fault}"]
    assert keys(found) == ["prod/biz/2/7"]
    assert found.legible


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            "watches: [2/1",
            "2:1: while parsing a flow sequence, did not find expected ',' or ']'",
        ),
        ("a: b: c", "1:5: mapping values are not allowed in this context"),
        ("- 2/1", "1:1: the document must be a mapping: write key: value"),
        ("watches: 2/1", "1:10: watches must be a list"),
        ("watches: []\nwatches: []", "2:1: 'watches' is given twice"),
        ("watches: []\n---\nwatches: []", "2:1: a second document begins here"),
        ("watches: []\ndiscover: {}", "2:11: discover must be a list"),
        (
            "watches: []\ndefaults: [x]",
            "2:11: defaults must be a mapping: write key: value",
        ),
        (
            "watches: [2/1]\ndefaults: {sevrity: critical}",
            "2:12: unknown key 'sevrity'; did you mean 'severity'?",
        ),
        (
            "watches: [2/1]\ndefaults: {source: dev}",
            "2:20: unknown source 'dev'; configured: prod, stag",
        ),
        ("watches: [!!python/name:os.system x]", "1:11: tags are not read here"),
        ("watches: [*a]", "1:11: no such anchor before this alias"),
        ("watches: &a [*a]", "1:14: no such anchor before this alias"),
        ("watches: " + "[" * 100_000, "1:25: nested deeper than 16"),
        ("watches:\n- '运\x01'", "2:5: YAML does not allow the character '\\x01'"),
        (b"watches:\n- \xe8\xbf\x90\xff", "2:4: is not UTF-8"),
        (b"\xef\xbb\xbf# \xe8\xbf\x90\xff", "1:4: is not UTF-8"),
    ],
)
def test_a_document_that_cannot_be_understood_is_illegible(
    content: str | bytes, fault: str
) -> None:
    found = parsed("list.yaml", content)

    assert faults(found) == [f"list.yaml:{fault}"]
    assert not found.legible


def test_an_unknown_key_of_the_document_costs_nothing_else() -> None:
    found = parsed("list.yaml", "watch: []\nwatches: [2/1]\n")

    assert faults(found) == [
        "list.yaml:1:1: unknown key 'watch'; did you mean 'watches'?"
    ]
    assert keys(found) == ["prod/biz/2/1"]


def test_a_misspelt_list_is_illegible_and_not_empty() -> None:
    found = parsed("list.yaml", "watchs: [2/1]\n")

    assert faults(found) == [
        "list.yaml:1:1: unknown key 'watchs'; did you mean 'watches'?",
        "list.yaml:1:1: the document has no 'watches:'",
    ]
    assert not found.legible


def test_an_alias_stands_for_what_was_anchored() -> None:
    found = parsed(
        "list.yaml",
        "watches:\n"
        "- {bk_biz_id: 2, job_instance_id: 1, labels: &l {team: sre}}\n"
        "- {bk_biz_id: 2, job_instance_id: 2, labels: *l}\n",
    )

    assert faults(found) == []
    assert [watch.labels for watch in found.watches] == [{"team": "sre"}] * 2


def test_a_billion_laughs_are_one_fault() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    content = "\n".join(["l0: &l0 [ha]", *levels, "watches: [*l9]"])

    assert faults(parsed("list.yaml", content))[-1] == (
        "list.yaml:10:5: an entry must be a mapping: write key: value"
    )
