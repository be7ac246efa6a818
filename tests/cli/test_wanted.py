"""Which instances are meant by what was typed, or came in on stdin."""

import re

import pytest

from monitor import errors
from monitor.cli.waiting import wanted
from monitor.cli.waiting.wanted import Reader

SOURCES = ("prod", "test")
KEY = "prod/biz/2/7"


def keys(*words: str, stdin: bytes = b"", scope: str | None = None) -> list[str]:
    found = Reader(SOURCES, scope).keys(words, lambda most: stdin[:most])
    return [str(key) for key in found]


def test_keys_are_typed_as_in_a_watch_list() -> None:
    assert keys("2/7", "test/biz_set/5/8", "prod/2/9") == [
        KEY,
        "test/biz_set/5/8",
        "prod/biz/2/9",
    ]


def test_a_bare_id_belongs_to_the_scope() -> None:
    assert keys("7", "3/8", scope="test/biz_set/5") == [
        "test/biz_set/5/7",
        "prod/biz/3/8",
    ]


def test_each_instance_is_waited_for_once_in_the_order_typed() -> None:
    assert keys("3/8", "2/7", "-", stdin=b"2/7\n4/9\n") == [
        "prod/biz/3/8",
        KEY,
        "prod/biz/4/9",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        # v2 and v3, as the bus and the gateway send them.
        (
            b'{"result":true,"code":0,"message":"","data":{"job_instance_name":"x",'
            b'"job_instance_id":7,"step_instance_id":70}}'
        ),
        b'{"result":true,"code":"0","data":{"job_instance_id":"7"}}',
        # v4 declares nothing where all is well.
        b'{"data":{"job_instance_id":7}}',
        b'{"job_instance_id":7}',
        b'[{"data":{"job_instance_id":7}}]',
        b"7\n",
        b"# started by hand\n\n2/7\n",
        b'"2/7"',
        b'["2/7"]',
    ],
)
def test_an_execute_answer_is_read_in_all_its_forms(answer: bytes) -> None:
    assert keys("-", stdin=answer, scope="2") == [KEY]


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        (b'{"bk_biz_id":2,"data":{"job_instance_id":7}}', KEY),
        (b'{"data":{"bk_biz_id":"2","job_instance_id":7}}', KEY),
        (
            b'{"bk_scope_type":"biz_set","bk_scope_id":"5","job_instance_id":7}',
            "prod/biz_set/5/7",
        ),
        (b'{"source":"test","bk_biz_id":2,"job_instance_id":7}', "test/biz/2/7"),
    ],
)
def test_an_answer_that_names_its_business_needs_no_scope(
    answer: bytes, key: str
) -> None:
    assert keys("-", stdin=answer) == [key]
    assert keys("-", stdin=answer, scope="9") == [key]


def test_several_answers_stand_in_a_list_or_one_a_line() -> None:
    lines = b'{"data":{"job_instance_id":7}}\n{"data":{"job_instance_id":8}}\n'
    listed = b'[{"data":{"job_instance_id":7}},{"job_instance_id":8}]'

    expected = ["prod/biz/2/7", "prod/biz/2/8"]
    assert keys("-", stdin=lines, scope="2") == expected
    assert keys("-", stdin=listed, scope="2") == expected


@pytest.mark.parametrize(
    ("stdin", "complaint"),
    [
        (b"", "stdin names no instance"),
        (b"[]", "stdin names no instance"),
        (b'{"data":{"job_instance_id":7}}', "bk_biz_id is missing"),
        (b'{"data":{"job_instance_id":7}}', "; --scope gives it"),
        (b'{"bk_biz_id":2}', "job_instance_id is missing"),
        (b'{"bk_biz_id":2,"job_instance_id":[7]}', "neither number nor text"),
        (b'{"bk_biz_id":2,"job_instance_id":true}', "neither number nor text"),
        (b'{"bk_biz_id":2,"job_instance_id":-7}', "not a positive whole number"),
        (b'{"bk_biz_id":2,"job_in', "stdin, line 1: cannot be read"),
        (b"2/7\n\xff\n", "stdin, line 2: cannot be read"),
        (b"[" * 100_000, "stdin, line 1: cannot be read"),
        (b"[[7]]", "neither object nor key"),
        (b"true", "neither object nor key"),
        (b"2/7\nhello\n", "'hello' is not [source/]"),
        (b"7", "'7' is not [source/]"),
        (b" " * (wanted.LONGEST + 1), "more than 16 MiB"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(stdin: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        keys("-", stdin=stdin)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'{"result":false,"code":9900403,"message":"no"}', errors.Forbidden),
        (b'{"result":false,"code":1306401,"message":"no"}', errors.Refused),
        (b'{"result":false,"code":1240003,"message":"no"}', errors.MonitorError),
        (b'{"error":{"code":"INVALID_ARGUMENT","message":"no"}}', errors.MonitorError),
    ],
)
def test_an_answer_that_started_no_job_says_so(
    answer: bytes, error: type[errors.MonitorError]
) -> None:
    with pytest.raises(error, match="no") as raised:
        keys("-", stdin=answer, scope="2")

    assert type(raised.value) is error
