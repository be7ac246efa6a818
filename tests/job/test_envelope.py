import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from monitor import errors
from monitor.core.rate import Quota
from monitor.errors import (
    Forbidden,
    Garbled,
    Missing,
    Refused,
    SourceError,
    Throttled,
    Unavailable,
)
from monitor.job import envelope, hint


def refusal(
    status: int, body: object, headers: Mapping[str, str] | None = None
) -> SourceError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(SourceError) as caught:
        envelope.unwrap(status, CIMultiDict(headers or {}), raw)

    return caught.value


def from_job(code: object, message: str = "text of JOB", **more: object) -> Any:
    told = {"code": code, "result": False, "job_request_id": "5f1c", "message": message}
    return told | more


def from_esb(code: object, message: str = "text of the ESB") -> Any:
    told = {"result": False, "code": code, "data": None, "request_id": "8a0f"}
    return told | {"message": message}


def from_gateway(code: int, name: str, message: str = "text of the gateway") -> Any:
    told = {"code": code, "code_name": name, "message": message}
    return told | {"result": False, "data": None}


def from_v4(name: str, code: str = "", message: str = "text of v4") -> Any:
    details = [{"code": code, "message": message}] if code else []
    error = {"code": name, "message": message, "details": details}
    return {"error": error, "job_request_id": "0d4e"}


REASON = 'Parameters error [reason="{}"]'

DECLARED = [
    # JOB
    *((200, from_job(code), Missing) for code in (1244006, 1244007, "1244006")),
    *((200, from_job(code), Forbidden) for code in (9900403, 1238001)),
    *((200, from_job(code), Forbidden) for code in (1243049, 1243051)),
    *((200, from_job(code), Garbled) for code in (1241004, 1241005, 1241006)),
    *((200, from_job(code), Garbled) for code in (1241007, 1241025, 1240003)),
    (400, from_job(1241007), Garbled),
    *((200, from_job(code), Unavailable) for code in (1240001, 1240002, 1252001)),
    *((200, from_job(code), Unavailable) for code in (1250001, 1250002, 1255001)),
    *((200, from_job(code), Unavailable) for code in (1210001, 1211001, 1215001)),
    *((401, from_job(code), Refused) for code in (1247002, 1247004)),
    *((200, from_job(code), Refused) for code in (1247002, 1247004)),
    (200, from_job(1299999), Garbled),
    (500, from_job(1299999), Unavailable),
    (401, b"", Refused),
    # JOB, v4
    (404, from_v4("NOT_FOUND", "1244006"), Missing),
    (404, from_v4("NOT_FOUND"), Missing),
    (404, from_v4("NOT_FOUND", "1243049"), Forbidden),
    (403, from_v4("NO_PERMISSION", "9900403"), Forbidden),
    (403, from_v4("NO_PERMISSION"), Forbidden),
    (400, from_v4("INVALID_ARGUMENT", "1241025"), Garbled),
    (500, from_v4("INTERNAL", "1240002"), Unavailable),
    (429, from_v4("RESOURCE_EXHAUSTED", "1244032"), Throttled),
    (401, from_job(1247002), Refused),
    # The legacy ESB, always HTTP 200
    (200, from_esb(1306000, "User authentication failed, please check …"), Refused),
    (200, from_esb(1306000, "provide a valid user identity"), Refused),
    (200, from_esb(1306000, "access_token has expired, please apply …"), Refused),
    (200, from_esb("1306000", "APP Code [bk_app_code] cannot be empty"), Refused),
    (200, from_esb(1306000, "user TOKEN [bk_access_token] does not exist"), Refused),
    (200, from_esb(1306000, "something else"), Garbled),
    *((200, from_esb(code), Unavailable) for code in (1306201, "1306201", 1306203)),
    *((200, from_esb(code), Unavailable) for code in (1306208, 1306221)),
    *((200, from_esb(code), Refused) for code in (1306401, 1306402, "1306403")),
    (200, from_esb(1306406), Garbled),
    *((200, from_esb(code), Throttled) for code in (1306429, " 1306429 ")),
    (500, {"result": False, "data": None, "message": "a page of Django"}, Unavailable),
    (200, {"result": False, "message": "a client's own", "data": None}, Garbled),
    # The API gateway
    (
        400,
        from_gateway(1640001, "INVALID_ARGS", REASON.format("app not found")),
        Refused,
    ),
    (
        400,
        from_gateway(
            1640001,
            "INVALID_ARGS",
            REASON.format("bk_app_code or bk_app_secret is incorrect"),
        ),
        Refused,
    ),
    (
        400,
        from_gateway(
            1640001, "INVALID_ARGS", REASON.format("user authentication failed, …")
        ),
        Refused,
    ),
    (
        400,
        from_gateway(
            1640001,
            "INVALID_ARGS",
            REASON.format("access_token is invalid, url: …, code: 403"),
        ),
        Refused,
    ),
    (400, from_gateway(1640001, "INVALID_ARGS", REASON.format("bad stage")), Garbled),
    (400, from_gateway(1640004, "JWT_VERIFY_FAILED"), Refused),
    (401, from_gateway(1640100, "UNAUTHORIZED"), Refused),
    (401, from_gateway(1640101, "APP_VERIFY_FAILED"), Refused),
    (401, from_gateway(1640102, "USER_VERIFY_FAILED"), Refused),
    (200, from_gateway(1640102, "USER_VERIFY_FAILED"), Refused),
    (403, from_gateway(1640301, "APP_NO_PERMISSION"), Refused),
    (403, from_gateway(1640302, "IP_NOT_ALLOWED"), Refused),
    (403, from_gateway(1640303, "BK_USER_NOT_ALLOWED"), Refused),
    (403, from_gateway(1640304, "BK_TENANT_NOT_ALLOWED"), Refused),
    (413, from_gateway(1641301, "BODY_SIZE_LIMIT_EXCEED"), Garbled),
    (414, from_gateway(1641401, "URI_SIZE_LIMIT_EXCEED"), Garbled),
    (429, from_gateway(1642901, "RATE_LIMIT_RESTRICTION"), Throttled),
    (429, from_gateway(1642902, "RATE_LIMIT_RESTRICTION"), Throttled),
    (200, from_gateway(1642903, "RATE_LIMIT_RESTRICTION"), Throttled),
    (200, from_gateway(1642904, "CONCURRENCY_LIMIT_RESTRICTION"), Throttled),
    (500, from_gateway(1650000, "REQUEST_RESOURCE_5xx"), Unavailable),
    (500, from_gateway(1650002, "INVALID_RESOURCE_CONFIG"), Unavailable),
    (502, from_gateway(1650200, "BAD_GATEWAY"), Unavailable),
    (502, from_gateway(1650201, "ERROR_REQUESTING_RESOURCE"), Unavailable),
    (503, from_gateway(1650300, "SERVICE_UNAVAILABLE"), Unavailable),
    (504, from_gateway(1650401, "REQUEST_BACKEND_TIMEOUT"), Unavailable),
    (200, from_gateway(1650401, "REQUEST_BACKEND_TIMEOUT"), Unavailable),
    (508, from_gateway(1650801, "RECURSIVE_REQUEST_DETECTED"), Unavailable),
    # Nobody we know
    (429, b"", Throttled),
    (429, b"<html>slow down</html>", Throttled),
    (500, b"", Unavailable),
    (502, b"<html>Bad Gateway</html>", Unavailable),
    (503, {"message": "no upstream"}, Unavailable),
    # A good body under a bad status is bad.
    (500, {"result": True, "code": 0, "data": {}}, Unavailable),
    (404, {"result": True, "code": 0, "data": {}}, Garbled),
]


@pytest.mark.parametrize(("status", "body", "kind"), DECLARED)
def test_every_declared_error_ends_as_its_remedy(
    status: int, body: object, kind: type[SourceError]
) -> None:
    assert type(refusal(status, body)) is kind


@pytest.mark.parametrize("code", [1306406, 1240003, 1241007])
def test_a_fault_of_one_request_says_nothing_about_the_source(code: int) -> None:
    error = refusal(200, from_job(code))

    assert isinstance(error, Garbled)
    assert not error.whole_source
    assert "text of JOB" in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<!doctype html><title>Log in</title>"),
        (200, b'"ok"'),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"status": "UP"}'),
        (200, b'{"data": {}}'),
        (403, b"<html>Forbidden</html>"),
        (404, b"<html>Not Found</html>"),
        (404, b'{"error_msg": "404 Route Not Found"}'),
        (404, b'{"error": "Not Found", "status": 404, "path": "/"}'),
        (404, b'{"result": false, "data": null, "message": "Not Found"}'),
        (404, json.dumps(from_gateway(1640401, "API_NOT_FOUND")).encode()),
        (200, json.dumps(from_esb(1306404)).encode()),
        (200, json.dumps(from_esb(1306405)).encode()),
        (200, json.dumps(from_esb(1306209)).encode()),
        (200, json.dumps(from_esb(1306206)).encode()),
        (200, json.dumps(from_esb(1306207)).encode()),
    ],
)
def test_a_url_that_leads_elsewhere_concerns_the_whole_source(
    status: int, body: bytes
) -> None:
    error = refusal(status, body)

    assert isinstance(error, Garbled)
    assert error.whole_source


@pytest.mark.parametrize(
    ("headers", "floor"),
    [
        ({}, None),
        ({"X-Bkapi-RateLimit-Reset": "0"}, timedelta(seconds=1)),
        ({"X-Bkapi-RateLimit-Reset": "17"}, timedelta(seconds=17)),
        ({"x-bkapi-ratelimit-reset": "17"}, timedelta(seconds=17)),
        ({"Retry-After": "0"}, timedelta()),
        ({"Retry-After": "120"}, timedelta(minutes=2)),
        ({"Retry-After": "5", "X-Bkapi-RateLimit-Reset": "9"}, timedelta(seconds=9)),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            timedelta(seconds=30),
        ),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 -0000",
            },
            timedelta(),
        ),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"Retry-After": "999999999"}, timedelta(hours=1)),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "soon", "Date": "today"}, None),
        ({"X-Bkapi-RateLimit-Reset": "nan"}, None),
    ],
)
def test_a_throttle_names_its_floor(
    headers: dict[str, str], floor: timedelta | None
) -> None:
    body = from_gateway(1642902, "RATE_LIMIT_RESTRICTION")

    error = refusal(429, body, headers)

    assert isinstance(error, Throttled)
    assert error.retry_after == floor


def test_the_gateway_is_heard_in_the_header_even_where_the_body_looks_good() -> None:
    body = {"result": True, "code": 0, "data": {}}

    error = refusal(200, body, {"X-Bkapi-Error-Code": "1642902"})

    assert isinstance(error, Throttled)
    assert str(error).startswith("gateway 1642902")


def test_all_request_ids_are_kept_short_and_printable() -> None:
    headers = {"X-Bkapi-Request-Id": "c0ffee", "X-Bk-Job-Request-Id": "ignored"}
    body = from_job(1240002, job_request_id="5f\n1c", request_id="8" * 500)

    error = refusal(200, body, headers)

    assert error.request_ids == "job=5f 1c gateway=c0ffee esb=" + "8" * 64


def test_the_id_of_job_is_also_found_in_the_header() -> None:
    error = refusal(502, b"<html>", {"x-bk-job-request-id": "5f1c"})

    assert error.request_ids == "job=5f1c"


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}"])
@pytest.mark.parametrize("status", [200, 400, 401])
def test_the_header_of_the_gateway_speaks_for_an_unreadable_body(
    status: int, body: bytes
) -> None:
    error = refusal(status, body, {"X-Bkapi-Error-Code": "1640101"})

    assert isinstance(error, Refused)
    assert str(error).startswith("gateway 1640101")


@pytest.mark.parametrize(
    "details", [None, {}, [], [None], [{}], [{"code": None}], "1244006", [["x"]]]
)
def test_a_v4_error_is_judged_by_its_name_where_its_details_say_nothing(
    details: object,
) -> None:
    error = {"code": "NOT_FOUND", "message": None, "details": details}

    assert isinstance(refusal(404, {"error": error, "job_request_id": "1"}), Missing)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=4,
)


@given(st.sampled_from(["code", "message", "data", "details"]), JSON)
def test_any_value_in_a_v4_error_is_survived(part: str, value: object) -> None:
    body = from_v4("NOT_FOUND", "1244006")
    body["error"][part] = value

    error = refusal(404, body)

    assert str(error).isprintable()
    assert len(str(error)) < errors.EXCERPT + 64


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        ({"Limit": "100", "Remaining": "0", "Reset": "1"}, Quota(100, 0, 1.0)),
        ({"Limit": "100", "Remaining": "99", "Reset": "0"}, Quota(100, 99, 0.0)),
        ({"Limit": "100", "Remaining": "9", "Reset": "9" * 9}, Quota(100, 9, 3600.0)),
        ({"Limit": "100", "Remaining": "-1", "Reset": "1"}, None),
        ({"Limit": "100", "Reset": "1"}, None),
        ({"Limit": "100", "Remaining": "1"}, None),
        ({"Limit": "many", "Remaining": "1", "Reset": "1"}, None),
        ({}, None),
    ],
)
def test_a_quota_is_read_whole_or_not_at_all(
    headers: dict[str, str], quota: Quota | None
) -> None:
    sent = {f"x-bkapi-ratelimit-{name}": value for name, value in headers.items()}

    assert hint.quota(CIMultiDict(sent)) == quota


PERMISSION = {"system_id": "bk_job", "actions": [{"id": "view_history", "name": "…"}]}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, from_job(9900403, "not allowed", permission=PERMISSION)),
        (
            403,
            {
                "error": {
                    "code": "NO_PERMISSION",
                    "message": "not allowed",
                    "data": PERMISSION,
                },
                "job_request_id": "5f1c",
            },
        ),
    ],
)
def test_a_forbidden_scope_names_the_action_that_is_needed(
    status: int, body: object
) -> None:
    error = refusal(status, body)

    assert isinstance(error, Forbidden)
    assert "not allowed (needs view_history)" in str(error)


def test_the_words_of_a_stranger_are_bounded_and_printable() -> None:
    error = refusal(200, from_job(1240002, "\x1b[31m\r\nfake line" + "x" * 9_999))

    assert str(error).isprintable()
    assert len(str(error)) < errors.EXCERPT + 64


@pytest.mark.parametrize("code", [0, "0", "00", "", None])
def test_every_spelling_of_success_hands_the_data_out_untouched(code: object) -> None:
    body = json.dumps({"result": True, "code": code, "data": {"a": [1, 2]}}).encode()

    assert bytes(envelope.unwrap(200, {}, body)) == b'{"a": [1, 2]}'


def test_a_v4_answer_succeeds_without_result_and_code() -> None:
    body = b'{"data":{"a":1},"job_request_id":"0d4e"}'

    assert bytes(envelope.unwrap(200, {}, body)) == b'{"a":1}'


def test_the_limit_in_the_words_of_the_bus_is_a_hint() -> None:
    words = "the frequency limit is [1000/1minute], please try again later"
    said = {"result": False, "code": 1306429, "message": words}

    with pytest.raises(errors.Throttled) as caught:
        envelope.unwrap(200, {}, json.dumps(said).encode())

    assert caught.value.borne == pytest.approx(1000 / 60)
    assert caught.value.retry_after == timedelta(seconds=5)
