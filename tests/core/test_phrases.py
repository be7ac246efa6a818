"""What people read, in each language."""

from datetime import timedelta
from string import Formatter

import msgspec
import pytest
from msgspec import structs

from monitor.core import phrases, wording
from monitor.core.alerts import Alert, Name
from monitor.core.reach import Cause
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from tests.core.builders import NOW

SENTENCES = sorted(
    msgspec.structs.asdict(phrases.EN).keys() - {"causes", "joint", "units"}
)


def filled_in(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def an_alert(name: Name, step: str = "push", reason: str = "") -> Alert:
    return Alert(
        name=name,
        severity=Severity.CRITICAL,
        since=NOW,
        attempt=Attempt(7001, 0, step),
        status=4,
        failed=3,
        total=5,
        reason=reason,
        unfinished=2,
        limit=timedelta(hours=2, minutes=5, seconds=1),
    )


@pytest.mark.parametrize("sentence", SENTENCES)
def test_both_languages_say_the_same(sentence: str) -> None:
    in_english, in_chinese = (
        getattr(words, sentence) for words in (phrases.EN, phrases.ZH)
    )

    assert filled_in(in_english) == filled_in(in_chinese)
    assert in_english != in_chinese


@pytest.mark.parametrize("name", Name)
@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_every_kind_of_alert_is_put_into_words(name: Name, locale: str) -> None:
    said = wording.summary(an_alert(name, reason="unreachable"), locale)

    assert said.isascii() is (locale == "en")
    assert "{" not in said


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_of_a_lost_source_has_a_chinese_name(cause: Cause) -> None:
    said = wording.summary(an_alert(Name.SOURCE_LOST, reason=cause), "zh-CN")

    assert str(cause) not in said


def test_what_comes_from_job_is_no_phrase() -> None:
    hostile = "{reason} {0} {failed.__class__}"

    for locale in ("en", "zh-CN"):
        assert hostile in wording.summary(an_alert(Name.HOSTS_FAILED, hostile), locale)


def test_a_span_of_time_is_written_as_people_do() -> None:
    overdue = an_alert(Name.JOB_OVERDUE)

    assert wording.summary(overdue, "en") == "job has run for more than 2 h 5 min 1 s"
    assert wording.summary(overdue, "zh") == "作业运行已超过 2 小时 5 分钟 1 秒"


def test_who_waits_for_a_person_is_named_where_it_is_known() -> None:
    step = an_alert(Name.JOB_WAITING)
    job = structs.replace(step, attempt=None)

    assert wording.summary(step, "en") == "step 'push' waits for a person"
    assert wording.summary(job, "en") == "job waits for a person"


def test_a_summary_in_chinese() -> None:
    alerts = [an_alert(Name.HOSTS_FAILED), an_alert(Name.JOB_FAILED)]

    assert wording.several(alerts, 3, 5, "zh-CN") == (
        "5 条告警，3 台主机失败：步骤 'push' 中 5 台主机有 3 台失败；"
        "作业结束：执行失败；另有 2 条"
    )
