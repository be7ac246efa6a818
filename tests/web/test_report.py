import json
from urllib.parse import quote, urlencode

import pytest

from monitor.web import report

STEPS = [{"step_instance_id": 16271, "status": 3}]
SENT = {"job_instance_id": 12345, "status": 4, "step_instances": STEPS}
TEXT = json.dumps(SENT)

UNDERSTOOD = {
    "what JOB sends": SENT,
    "what its documents say": {
        "job_instance_id": 12345,
        "status": 4,
        "step_instance_list": STEPS,
    },
    "numbers as strings": {"job_instance_id": "12345", "status": "4"},
    "nothing but the id": {"job_instance_id": 12345},
    "fields that nobody knows yet": {**SENT, "bk_scope_id": "2", "status": None},
    "steps that are none": {**SENT, "step_instances": "?"},
}
RUBBISH = {
    "nothing": b"",
    "no id": b'{"status": 3}',
    "an id that is none": b'{"job_instance_id": "abc"}',
    "no number": b'{"job_instance_id": true}',
    "null": b'{"job_instance_id": null}',
    "zero": b'{"job_instance_id": 0}',
    "a number beyond 64 bits": b'{"job_instance_id": 9223372036854775808}',
    "a list": b"[12345]",
    "a number": b"12345",
    "half of it": TEXT.encode()[:20],
    "nested without end": b'{"a":' + b"[" * 200_000,
    "a form without it": b"job_instance_id=12345&status=3",
    "a form with a thousand fields": b"a=b&" * 1000 + b"c=" + quote(TEXT).encode(),
    "no text": b"\xff\xfe\x00",
    "several parts": b'--x\r\nContent-Disposition: form-data\r\n\r\n{"a": 1}',
}


@pytest.mark.parametrize("said", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_only_the_id_is_read(said: object) -> None:
    assert report.job_instance_id(json.dumps(said).encode()) == 12345


@pytest.mark.parametrize(
    "body",
    [
        TEXT,
        f"\ufeff{TEXT}",
        f"\r\n {TEXT}\n",
        quote(TEXT),
        f"{quote(TEXT)}=",
        urlencode({"body": TEXT}),
        urlencode({"id": 1, "data": TEXT, "x": "{}"}),
    ],
)
def test_a_form_may_be_the_text_or_hold_it(body: str) -> None:
    assert report.job_instance_id(body.encode()) == 12345


def test_raw_text_is_not_taken_apart_as_a_form() -> None:
    body = json.dumps({"name": "a&b=c%7B+", "job_instance_id": 7}).encode()

    assert report.job_instance_id(body) == 7


@pytest.mark.parametrize("body", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_is_refused_with_what_would_be_right(body: bytes) -> None:
    with pytest.raises(ValueError, match="job_instance_id, neither bare nor in a form"):
        report.job_instance_id(body)
