from datetime import timedelta

import pytest

from monitor.core import explaining
from monitor.core.decisions import CaseDecision, Decision, Verdict
from monitor.core.explaining import (
    Dead,
    Facts,
    Fate,
    LeftOut,
    Recorded,
    SinkData,
    Waiting,
)
from monitor.core.message import Kind, Message
from monitor.core.subscription import Subscription
from monitor.core.telling import Why, WhyNot
from tests.core.builders import NOW

KEY = "prod/biz/2/20000153"
EVENT = Message(
    id=f"{KEY}#4",
    key=KEY,
    type="bkjob.hosts.failed",
    source="prod",
    subject=None,
    time=NOW,
    sequence=4,
    data=b"{}",
    traits={"team": "sre"},
)
AT = Recorded(50, EVENT)
LATER = NOW + timedelta(minutes=2)


def asking(
    *match: str, send: tuple[Kind, ...] = (Kind.EVENTS,), position: int = 0
) -> Subscription:
    return Subscription(sink="chat", send=send, match=match, position=position)


def said(
    *history: Subscription,
    cursor: int | None = 60,
    waiting: Waiting | None = None,
    dead: Dead | None = None,
    locale: str = "en",
) -> SinkData:
    facts = Facts(
        sink="chat", history=history, cursor=cursor, waiting=waiting, dead=dead
    )
    return explaining.of_event(AT, facts, locale)


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_every_reason_is_put_into_words_of_its_own(locale: str) -> None:
    for reasons, phrases in (
        (Why, explaining.TOLD),
        (WhyNot, explaining.SILENT),
        (LeftOut, explaining.LEFT_OUT),
        (Fate, explaining.FATES),
    ):
        words = [phrases[reason].spoken(locale) for reason in reasons]
        assert all(words)
        assert len(set(words)) == len(words)
        assert phrases.keys() == set(reasons)


def test_chinese_is_chinese_and_english_is_not() -> None:
    decision = Decision(sink="chat", reason=WhyNot.SILENCED)

    assert explaining.of_decision(decision, "zh-CN").said == "已被静默"
    assert explaining.of_decision(decision, "en").said.isascii()


def test_who_was_told_is_told_why_by_which_route_and_under_which_id() -> None:
    decision = Decision(
        sink="chat", reason=Why.FIRST, route="routes[0]", notification=f"{KEY}!1"
    )
    verdict = Verdict(group=KEY, at=NOW, sequence=4, decisions=(decision,))

    found = explaining.of_verdict(verdict)

    [sink] = found.sinks
    assert (found.group, found.at, found.sequence) == (KEY, NOW, 4)
    assert (sink.told, sink.reason, sink.said) == (
        True,
        "first",
        "the first message about it",
    )
    assert (sink.route, sink.notification) == ("routes[0]", f"{KEY}!1")


def test_who_was_not_told_is_told_what_stood_in_the_way_of_each_alert() -> None:
    decision = Decision(
        sink="chat",
        reason=WhyNot.SILENCED,
        detail="by bob",
        until=LATER,
        cases=(
            CaseDecision("job_failed", WhyNot.SILENCED, "by bob"),
            CaseDecision("hosts_failed/7", WhyNot.BELOW_THRESHOLD, "1 of 9"),
            CaseDecision("hosts_failed/8"),
        ),
        omitted=3,
    )

    sink = explaining.of_decision(decision)

    assert (sink.told, sink.detail, sink.until) == (False, "by bob", LATER)
    assert [(case.alert, case.said) for case in sink.cases] == [
        ("job_failed", "somebody silenced it"),
        ("hosts_failed/7", "too few hosts failed"),
        ("hosts_failed/8", ""),
    ]
    assert sink.omitted == 3


def test_storm_means_other_things_for_who_was_told_and_for_who_was_not() -> None:
    told = Decision(sink="chat", reason=Why.STORM, notification="prod/{storm}!1")
    silent = Decision(sink="chat", reason=WhyNot.STORM)

    assert "was told together" in explaining.of_decision(told).said
    assert "will be told together" in explaining.of_decision(silent).said


def test_a_reason_of_another_version_stands_as_it_is() -> None:
    decision = Decision(sink="chat", reason="moon_phase")

    assert explaining.of_decision(decision).said == "moon_phase"


def test_an_event_that_was_wanted_and_is_nowhere_any_more_was_delivered() -> None:
    sink = said(asking("team=sre"))

    assert (sink.told, sink.reason, sink.detail) == (True, "delivered", "")


def test_an_event_that_a_match_left_out_names_the_matcher() -> None:
    sink = said(asking("team=~sre|dba", "team=dba"))

    assert (sink.told, sink.reason) == (False, "unmatched")
    assert sink.detail == 'team="dba"'


def test_what_was_asked_for_then_counts_and_not_what_is_asked_for_now() -> None:
    then, now = asking("team=sre"), asking("team=dba", position=55)

    assert said(then, now).reason == "delivered"
    assert said(now, asking("team=sre", position=55)).reason == "later"


def test_what_is_not_read_yet_is_judged_by_what_is_asked_for_now() -> None:
    then, now = asking("team=sre"), asking("team=dba", position=40)

    assert said(then, now, cursor=40).reason == "unmatched"
    assert said(then, cursor=40).reason == "unread"


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ((), "later"),
        ((asking(position=50),), "later"),
        ((asking(), asking(send=(), position=20)), "no_such_sink"),
        ((asking(send=(Kind.ALERTS,)),), "not_taken"),
    ],
)
def test_an_event_that_was_never_meant_for_a_sink_says_why(
    history: tuple[Subscription, ...], reason: str
) -> None:
    sink = said(*history)

    assert (sink.told, sink.reason) == (False, reason)
    assert sink.delivery is None


def test_an_event_on_its_way_says_how_often_it_was_tried_and_when_it_is_next() -> None:
    sink = said(asking(), waiting=Waiting(due=LATER, tries=3, error="503"))

    assert sink.delivery is not None
    assert (sink.told, sink.reason) == (False, "waiting")
    assert (sink.delivery.tries, sink.delivery.due) == (3, LATER)
    assert sink.delivery.error == "503"


def test_an_event_behind_another_names_that() -> None:
    sink = said(asking(), waiting=Waiting(due=LATER, behind=f"{KEY}#2"))

    assert sink.delivery is not None
    assert (sink.reason, sink.delivery.behind) == ("behind", f"{KEY}#2")


def test_a_dead_letter_says_since_when_and_why() -> None:
    sink = said(asking(), dead=Dead(at=LATER, tries=9, error="410 Gone"))

    assert sink.delivery is not None
    assert (sink.reason, sink.delivery.at) == ("dead", LATER)
    assert (sink.delivery.tries, sink.delivery.error) == (9, "410 Gone")


def test_what_waits_for_a_sink_that_is_gone_says_so() -> None:
    sink = said(asking(), asking(send=(), position=60), waiting=Waiting(due=LATER))

    assert (sink.reason, sink.detail) == ("waiting", "it is configured no more")


def test_what_waits_was_wanted_whatever_is_on_record_of_it() -> None:
    sink = said(asking("team=dba"), waiting=Waiting(due=LATER))

    assert sink.reason == "waiting"
