import json

import pytest

from monitor.core.watch import Options, Severity
from tests.watchlist.reading import faults, keys, only, parsed


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"bk_biz_id": 2, "job_instance_id": 1}, "prod/biz/2/1"),
        ({"bk_biz_id": "2", "job_instance_id": "1"}, "prod/biz/2/1"),
        (
            {"bk_scope_type": "biz_set", "bk_scope_id": "9", "job_instance_id": 1},
            "prod/biz_set/9/1",
        ),
        ({"bk_biz_id": 2, "job_instance_id": 1, "source": "stag"}, "stag/biz/2/1"),
        (
            {"bk_biz_id": None, "bk_scope_id": "3", "job_instance_id": 1},
            "prod/biz/3/1",
        ),
    ],
)
def test_an_object_has_the_field_names_of_job(
    entry: dict[str, object], key: str
) -> None:
    assert keys(parsed("list.jsonl", json.dumps(entry))) == [key]


def test_the_answer_of_an_execute_call_is_an_entry_once_it_names_its_business() -> None:
    answer = {
        "code": 0,
        "result": True,
        "message": "",
        "data": {
            "job_instance_name": "deploy",
            "job_instance_id": 20000154,
            "step_instance_id": 20000321,
        },
        "job_request_id": "c4d1",
        "bk_biz_id": 2,
    }

    watch = only(parsed("list.jsonl", json.dumps(answer) + "\n"))

    assert str(watch.key) == "prod/biz/2/20000154"
    assert watch.labels == {}


def test_labels_and_options_stand_beside_the_ids() -> None:
    watch = only(
        parsed(
            "list.jsonl",
            '{"bk_biz_id": 2, "job_instance_id": 1, "severity": "warning",'
            ' "until": null, "labels": {"team": "运维", "wave": 3, "dry": false,'
            ' "none": null}}',
        )
    )

    assert watch.labels == {"team": "运维", "wave": "3", "dry": "false"}
    assert watch.options == Options(severity=Severity.WARNING)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"bk_biz_id": 2', ":16: is no JSON: Expecting ',' delimiter"),
        ("2/1", ":2: is no JSON: Extra data"),
        ("[]", ': is no object: write {"bk_biz_id": …, "job_instance_id": …}'),
        ("[" * 100_000, ": is nested too deeply"),
        ('{"bk_biz_id": 2}', ": job_instance_id is missing"),
        (
            '{"bk_biz_id": 2, "data": null, "code": 1241001}',
            ": job_instance_id is missing",
        ),
        (
            '{"job_instance_id": 2}',
            ": bk_biz_id is missing (or bk_scope_type and bk_scope_id)",
        ),
        (
            '{"bk_biz_id": 2, "job_instance_id": 1.5}',
            ": job id '1.5' is not a positive whole number",
        ),
        (
            '{"bk_biz_id": 2, "job_instance_id": true}',
            ": job id 'true' is not a positive whole number",
        ),
        (
            '{"bk_biz_id": [2], "job_instance_id": 1}',
            ": 'bk_biz_id' is neither text nor number",
        ),
        ('{"bk_biz_id": 2, "bk_biz_id": 3}', ": 'bk_biz_id' is given twice"),
        (
            '{"bk_biz_id": 2, "job_instance_id": 1, "lables": {}}',
            ": unknown key 'lables'; did you mean 'labels'?",
        ),
        (
            '{"bk_biz_id": 2, "job_instance_id": 1, "labels": ["a"]}',
            ': labels is no object: write {"team": "sre"}',
        ),
        (
            '{"bk_biz_id": 2, "job_instance_id": 1, "labels": {"severity": "x"}}',
            ": 'severity' is reserved: no label can have this name",
        ),
        (
            '{"bk_biz_id": 2, "job_instance_id": 1, "labels": {"a": "\\ud800"}}',
            ": label 'a' has more than 256 characters or an unprintable one",
        ),
        (
            '{"bk_biz_id": 2, "job_instance_id": 1, "source": "dev"}',
            ": unknown source 'dev'; configured: prod, stag",
        ),
    ],
)
def test_a_bad_object_costs_only_itself(line: str, fault: str) -> None:
    found = parsed("list.jsonl", f'{line}\n{{"bk_biz_id": 2, "job_instance_id": 7}}\n')

    assert faults(found) == [f"list.jsonl:1{fault}"]
    assert keys(found) == ["prod/biz/2/7"]
