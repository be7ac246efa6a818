import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import watch
from monitor.core.model import SCOPE_TYPES, InstanceKey
from monitor.core.watch import Place

SOURCES = ("prod", "staging")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("2/20000153", InstanceKey("prod", "biz", "2", 20000153)),
        (" 2/20000153\n", InstanceKey("prod", "biz", "2", 20000153)),
        ("biz_set/9/5", InstanceKey("prod", "biz_set", "9", 5)),
        ("staging/2/5", InstanceKey("staging", "biz", "2", 5)),
        ("staging/tenant_set/7/5", InstanceKey("staging", "tenant_set", "7", 5)),
        ("002/0005", InstanceKey("prod", "biz", "2", 5)),
        (f"2/{2**63 - 1}", InstanceKey("prod", "biz", "2", 2**63 - 1)),
    ],
)
def test_a_key_may_leave_out_its_source_and_its_scope_type(
    text: str, key: InstanceKey
) -> None:
    assert watch.parse_key(text, sources=SOURCES) == key


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not [source/][scope_type/]scope_id/job_instance_id"),
        ("20000153", "is not [source/]"),
        ("prod/biz/2/5/6", "is not [source/]"),
        ("prod//5", "is not [source/]"),
        ("test/2/5", "unknown source 'test'; configured: prod, staging"),
        ("prod/business/2/5", "unknown scope type 'business'; known: biz, biz_set"),
        ("biz/biz/2/5", "unknown source 'biz'"),
        ("two/5", "scope id 'two' is not a positive whole number"),
        ("2/-5", "job id '-5' is not a positive whole number"),
        ("2/5.0", "job id '5.0' is not a positive whole number"),
        ("2/٥", "is not a positive whole number"),
        ("2/0", "job id '0' is not between 1 and 2^63 - 1"),
        (f"2/{2**63}", "is not between 1 and 2^63 - 1"),
    ],
)
def test_a_faulty_key_is_refused_with_a_sentence_that_says_why(
    text: str, reason: str
) -> None:
    with pytest.raises(ValueError) as refused:
        watch.parse_key(text, sources=SOURCES)

    assert reason in str(refused.value)


@pytest.mark.parametrize("where", ["{}", "{}/5", "2/{}", "{}/2/5", "prod/{}/2/5"])
def test_what_is_shown_of_a_faulty_key_is_bounded(where: str) -> None:
    with pytest.raises(ValueError) as refused:
        watch.parse_key(where.format("x" * 100_000), sources=SOURCES)

    assert len(str(refused.value)) < 200


@given(
    st.sampled_from(SOURCES),
    st.sampled_from(SCOPE_TYPES),
    st.integers(1, 2**63 - 1),
    st.integers(1, 2**63 - 1),
)
def test_a_key_survives_being_written_and_read(
    source: str, scope_type: str, scope: int, number: int
) -> None:
    key = InstanceKey(source, scope_type, str(scope), number)

    assert watch.parse_key(str(key), sources=SOURCES) == key


def test_a_place_is_shown_as_far_as_it_is_known() -> None:
    assert str(Place("list.yaml", 3, 7)) == "list.yaml:3:7"
    assert str(Place("list.txt", 3)) == "list.txt:3"
    assert str(Place("api")) == "api"
