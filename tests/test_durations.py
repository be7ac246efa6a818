from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import durations

MILLISECOND = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0s", timedelta()),
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        ("2h5m", timedelta(hours=2, minutes=5)),
        ("90d", timedelta(days=90)),
        (" 90s ", timedelta(seconds=90)),
        ("36500d", durations.LONGEST),
    ],
)
def test_a_duration_is_whole_numbers_with_units(written: str, meant: timedelta) -> None:
    assert durations.parse(written) == meant


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("30", "'30' has no unit: write 30s for seconds"),
        ("36501d", "'36501d' is longer than 36500d"),
        ("999999999999999d", "'999999999999999d' is longer than 36500d"),
    ],
)
def test_what_is_nearly_a_duration_is_refused_with_the_remedy(
    written: str, reason: str
) -> None:
    with pytest.raises(ValueError) as refused:
        durations.parse(written)

    assert str(refused.value) == reason


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "s",
        "-1s",
        "1.5h",
        "5m2h",
        "1s1s",
        "1 s",
        "1w",
        "5M",
        "１s",
        "9" * 16 + "s",
    ],
)
def test_what_is_no_duration_is_refused_with_examples(written: str) -> None:
    with pytest.raises(ValueError, match="like 500ms, 30s, 2h5m or 90d"):
        durations.parse(written)


@given(st.timedeltas(min_value=timedelta(), max_value=durations.LONGEST))
def test_a_written_duration_is_read_back(duration: timedelta) -> None:
    duration -= duration % MILLISECOND

    assert durations.parse(durations.text(duration)) == duration


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        meant = durations.parse(text)
    except ValueError:
        return

    assert timedelta() <= meant <= durations.LONGEST


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(days=90), "90d"),
        (timedelta(seconds=1, milliseconds=5), "1s5ms"),
    ],
)
def test_a_duration_is_written_with_the_largest_units(
    duration: timedelta, written: str
) -> None:
    assert durations.text(duration) == written
