from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from monitor.core import telling
from monitor.core.alerts import Alert, Name
from monitor.core.telling import (
    CALM,
    Acked,
    Circumstances,
    Heard,
    Obstacle,
    Rules,
    Silent,
    Speak,
    Told,
    Why,
    WhyNot,
)
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from tests.core import lives, saying
from tests.core.builders import NOW, SECOND
from tests.core.lives import Chapter

laws = settings(max_examples=100, deadline=None)

HOURS_4 = timedelta(hours=4)
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


def hosts_failed(
    failed: int = 2,
    *,
    occasions: int = 2,
    severity: Severity = CRITICAL,
    total: int = 100,
    since: datetime = NOW,
    step: int = 7001,
) -> Alert:
    return Alert(
        name=Name.HOSTS_FAILED,
        severity=severity,
        since=since,
        attempt=Attempt(step, 0, "push"),
        failed=failed,
        total=total,
        occasions=occasions,
    )


def job_failed(*, occasions: int = 1, severity: Severity = CRITICAL) -> Alert:
    return Alert(
        name=Name.JOB_FAILED, severity=severity, since=NOW, occasions=occasions
    )


def told(*alerts: Alert, ago: timedelta = SECOND) -> Told:
    return saying.heard(alerts, NOW - ago)


class Case(Struct, kw_only=True):
    why: Why | WhyNot
    holding: tuple[Alert, ...] = ()
    told: Told | None = None
    rules: Rules = Rules()
    lost: bool = False
    awaited: tuple[int, ...] = ()
    obstacle: Obstacle | None = None
    about: Circumstances = CALM


ACKED = Acked("alice")
MINUTE = 60 * SECOND
SOON = NOW + MINUTE
PATIENT = Rules(group_wait=10 * SECOND, group_interval=10 * SECOND)
SILENCED = Obstacle(WhyNot.SILENCED, "by alice", SOON)
HIDDEN = Rules(settle_for=MINUTE)


CASES: Mapping[str, Case] = {
    "Nothing holds and nothing was ever said: there is nothing to say.": Case(
        why=WhyNot.ALREADY_TOLD
    ),
    "Hosts failed and the sink has heard nothing yet.": Case(
        why=Why.FIRST, holding=(hosts_failed(),)
    ),
    "All was well when the sink was last told; now hosts fail.": Case(
        why=Why.FIRST, holding=(hosts_failed(),), told=told()
    ),
    "What holds is what was said.": Case(
        why=WhyNot.ALREADY_TOLD, holding=(hosts_failed(),), told=told(hosts_failed())
    ),
    "The job failed too since the sink heard of its hosts.": Case(
        why=Why.NEW_ALERT,
        holding=(hosts_failed(), job_failed()),
        told=told(hosts_failed()),
    ),
    "More hosts failed.": Case(
        why=Why.MORE_HOSTS,
        holding=(hosts_failed(3, occasions=3),),
        told=told(hosts_failed()),
    ),
    "One host recovered while another failed: the count is the same.": Case(
        why=Why.MORE_HOSTS,
        holding=(hosts_failed(2, occasions=3),),
        told=told(hosts_failed()),
    ),
    "The job failed once more.": Case(
        why=Why.WORSE, holding=(job_failed(occasions=2),), told=told(job_failed())
    ),
    "A warning became critical.": Case(
        why=Why.WORSE, holding=(job_failed(),), told=told(job_failed(severity=WARNING))
    ),
    "A critical alert became a warning.": Case(
        why=WhyNot.ALREADY_TOLD,
        holding=(job_failed(severity=WARNING),),
        told=told(job_failed()),
    ),
    "Fewer hosts are failed than were said.": Case(
        why=WhyNot.IMPROVING, holding=(hosts_failed(1),), told=told(hosts_failed())
    ),
    "One of two alerts is over.": Case(
        why=WhyNot.IMPROVING,
        holding=(hosts_failed(),),
        told=told(hosts_failed(), job_failed()),
    ),
    "It still holds four hours after it was said.": Case(
        why=Why.REMINDER,
        holding=(hosts_failed(),),
        told=told(hosts_failed(), ago=HOURS_4),
    ),
    "It is a second too early for a reminder.": Case(
        why=WhyNot.ALREADY_TOLD,
        holding=(hosts_failed(),),
        told=told(hosts_failed(), ago=HOURS_4 - SECOND),
    ),
    "News goes before a reminder that is due as well.": Case(
        why=Why.MORE_HOSTS,
        holding=(hosts_failed(3, occasions=3),),
        told=told(hosts_failed(), ago=HOURS_4),
    ),
    "All that was said is over.": Case(why=Why.RESOLVED, told=told(hosts_failed())),
    "It was said already that all is over, hours ago.": Case(
        why=WhyNot.ALREADY_TOLD, told=told(ago=HOURS_4)
    ),
    "Two failed hosts are fewer than the five worth telling.": Case(
        why=WhyNot.BELOW_THRESHOLD, holding=(hosts_failed(),), rules=Rules(at_least=5)
    ),
    "Two failed hosts of a hundred are less than the five per cent asked for.": Case(
        why=WhyNot.BELOW_THRESHOLD, holding=(hosts_failed(),), rules=Rules(percent=5)
    ),
    "Two failed hosts of twenty are more than the five per cent asked for.": Case(
        why=Why.FIRST, holding=(hosts_failed(total=20),), rules=Rules(percent=5)
    ),
    "Thresholds count hosts; a failed job is always worth telling.": Case(
        why=Why.FIRST,
        holding=(job_failed(), hosts_failed()),
        rules=Rules(at_least=5),
    ),
    "It fell below the threshold after it was said, and is not over.": Case(
        why=WhyNot.IMPROVING,
        holding=(hosts_failed(4, occasions=5),),
        told=told(hosts_failed(5, occasions=5)),
        rules=Rules(at_least=5),
    ),
    "What was said is over; what was never worth telling holds on.": Case(
        why=Why.RESOLVED,
        holding=(hosts_failed(),),
        told=told(job_failed()),
        rules=Rules(at_least=5),
    ),
    "The source is lost: what holds may be out of date.": Case(
        why=WhyNot.INHIBITED, holding=(hosts_failed(),), lost=True
    ),
    "The source is lost: that nothing holds may be out of date as well.": Case(
        why=WhyNot.INHIBITED, told=told(hosts_failed()), lost=True
    ),
    "Hosts failed just now, and their logs are on their way.": Case(
        why=WhyNot.WAITING_FOR_LOGS, holding=(hosts_failed(),), awaited=(7001,)
    ),
    "All was well when the sink was last told; logs are on their way.": Case(
        why=WhyNot.WAITING_FOR_LOGS,
        holding=(hosts_failed(),),
        told=told(),
        awaited=(7001,),
    ),
    "The logs on their way are of another step.": Case(
        why=Why.FIRST, holding=(hosts_failed(),), awaited=(7002,)
    ),
    "Hosts failed so long ago that their logs have had their time.": Case(
        why=Why.FIRST, holding=(hosts_failed(since=NOW - 5 * SECOND),), awaited=(7001,)
    ),
    "The clock was set back since hosts failed.": Case(
        why=Why.FIRST, holding=(hosts_failed(since=NOW + SECOND),), awaited=(7001,)
    ),
    "Logs are on their way of hosts too few to be worth telling.": Case(
        why=Why.FIRST,
        holding=(job_failed(), hosts_failed()),
        rules=Rules(at_least=5),
        awaited=(7001,),
    ),
    "Only the first message waits for logs.": Case(
        why=Why.MORE_HOSTS,
        holding=(hosts_failed(3, occasions=3),),
        told=told(hosts_failed()),
        awaited=(7001,),
    ),
    "Logs that came later are no reason to speak.": Case(
        why=WhyNot.ALREADY_TOLD,
        holding=(hosts_failed(),),
        told=told(hosts_failed()),
        awaited=(7001,),
    ),
    "A silence lies over it.": Case(
        why=WhyNot.SILENCED, holding=(hosts_failed(),), obstacle=SILENCED
    ),
    "It was told before somebody silenced it, and became worse.": Case(
        why=WhyNot.SILENCED,
        holding=(hosts_failed(9, occasions=9),),
        told=told(hosts_failed()),
        obstacle=SILENCED,
    ),
    "It was told before somebody silenced it, and is over.": Case(
        why=Why.RESOLVED, told=told(hosts_failed())
    ),
    "It is maintained.": Case(
        why=WhyNot.MAINTENANCE,
        holding=(hosts_failed(),),
        obstacle=Obstacle(WhyNot.MAINTENANCE),
    ),
    "Somebody cares for it, and a reminder would be due.": Case(
        why=WhyNot.ACKNOWLEDGED,
        holding=(hosts_failed(),),
        told=told(hosts_failed(), ago=HOURS_4),
        about=Circumstances(acked=ACKED),
    ),
    "Somebody cares for it, and it became worse.": Case(
        why=Why.MORE_HOSTS,
        holding=(hosts_failed(3, occasions=3),),
        told=told(hosts_failed()),
        about=Circumstances(acked=ACKED),
    ),
    "Somebody wants to hear no more of it, and it became worse.": Case(
        why=WhyNot.ACKNOWLEDGED,
        holding=(hosts_failed(3, occasions=3),),
        told=told(hosts_failed()),
        about=Circumstances(acked=Acked("alice", sticky=True)),
    ),
    "Somebody cares for it: it is not escalated.": Case(
        why=WhyNot.ACKNOWLEDGED,
        holding=(hosts_failed(since=NOW - HOURS_4),),
        rules=Rules(after=MINUTE),
        about=Circumstances(acked=ACKED),
    ),
    "Nobody cared for it for long enough: it is escalated.": Case(
        why=Why.FIRST,
        holding=(hosts_failed(since=NOW - HOURS_4),),
        rules=Rules(after=MINUTE),
    ),
    "It is too early to escalate it.": Case(
        why=WhyNot.PENDING, holding=(hosts_failed(),), rules=Rules(after=MINUTE)
    ),
    "It must hold for a minute before it is told.": Case(
        why=WhyNot.PENDING,
        holding=(hosts_failed(),),
        rules=Rules(holding={Name.HOSTS_FAILED: MINUTE}),
    ),
    "A retry may follow.": Case(
        why=WhyNot.SETTLING, holding=(hosts_failed(),), rules=HIDDEN
    ),
    "No retry followed.": Case(
        why=Why.FIRST, holding=(hosts_failed(since=NOW - MINUTE),), rules=HIDDEN
    ),
    "It came and went too often: that it is over is told once it is calm.": Case(
        why=WhyNot.FLAPPING,
        told=told(hosts_failed()),
        about=Circumstances(flapping={saying.GROUP: SOON}),
    ),
    "It came and went too often, and is back.": Case(
        why=WhyNot.FLAPPING,
        holding=(hosts_failed(since=NOW),),
        told=told(hosts_failed(since=NOW - MINUTE)),
        about=Circumstances(flapping={saying.GROUP: SOON}),
    ),
    "It came back, as it may once.": Case(
        why=Why.NEW_ALERT,
        holding=(hosts_failed(since=NOW),),
        told=told(hosts_failed(since=NOW - MINUTE)),
    ),
    "More may belong to the first message.": Case(
        why=WhyNot.GROUPING, holding=(hosts_failed(),), rules=PATIENT
    ),
    "The last message was a moment ago.": Case(
        why=WhyNot.GROUPING,
        holding=(hosts_failed(3, occasions=3),),
        told=told(hosts_failed()),
        rules=PATIENT,
    ),
    "One of two is over for a sink that keeps a level of its own.": Case(
        why=Why.PARTLY_RESOLVED,
        holding=(hosts_failed(),),
        told=told(hosts_failed(), job_failed()),
        about=Circumstances(level=True),
    ),
    "A sink that keeps a level of its own hears of it after each start.": Case(
        why=Why.REMINDER,
        holding=(hosts_failed(),),
        told=told(hosts_failed()),
        about=Circumstances(level=True, anew=True),
    ),
    "The source is lost, and with it the logs.": Case(
        why=WhyNot.INHIBITED,
        holding=(hosts_failed(),),
        lost=True,
        awaited=(7001,),
    ),
}


@pytest.mark.parametrize("sentence", CASES)
def test_every_decision_carries_its_reason(sentence: str) -> None:
    case = CASES[sentence]
    decision = saying.decide(
        case.holding,
        case.told,
        NOW,
        case.rules,
        lost=case.lost,
        awaited=case.awaited,
        obstacle=case.obstacle,
        about=case.about,
    )

    assert decision.reason is case.why


def test_every_reason_has_a_case() -> None:
    elsewhere = {Why.STORM, Why.UNWATCHED}
    elsewhere_not = {WhyNot.STORM, WhyNot.UNROUTED, WhyNot.UNWATCHED}

    assert {case.why for case in CASES.values()} == (
        {*Why} - elsewhere | {*WhyNot} - elsewhere_not
    )


def test_the_wait_for_logs_counts_from_the_first_hosts_that_failed() -> None:
    early = hosts_failed(since=NOW - 3 * SECOND)
    late = hosts_failed(step=7002)

    assert saying.decide([early, late], None, NOW, Rules(), awaited=[7002]) == Silent(
        WhyNot.WAITING_FOR_LOGS, until=NOW + 5 * SECOND
    )


def test_only_what_is_worth_telling_is_told() -> None:
    holding = (job_failed(), hosts_failed())

    said = saying.decide(holding, None, NOW, Rules(at_least=5))

    assert said == saying.speak(Why.FIRST, [job_failed()])


def test_what_was_said_is_remembered_by_alert() -> None:
    alert = hosts_failed(2, occasions=3)
    known = Heard(NOW, CRITICAL, 3, 2, alert.attempt)

    assert told(alert, ago=0 * SECOND) == Told(
        at=NOW, alerts={"hosts_failed/7001": known}
    )


def reminders(until: timedelta, rules: Rules = Rules()) -> list[timedelta]:  # noqa: B008
    """List when somebody is reminded of what holds and does not change."""
    spoken: Told | None = saying.heard([hosts_failed()], NOW)
    found, now = [], NOW
    while spoken and (now := telling.remind_at(spoken, rules) or now) - NOW < until:
        decision = saying.decide([hosts_failed()], spoken, now, rules)
        assert isinstance(decision, Speak)
        spoken = telling.hearing(decision, spoken, now)
        found.append(now - NOW)
    return found


def test_reminders_become_rarer_down_to_one_a_day() -> None:
    hours = [ago / timedelta(hours=1) for ago in reminders(timedelta(days=4))]

    assert hours == [4, 12, 28, 52, 76]


def test_what_grows_for_an_hour_is_a_few_messages() -> None:
    rules = Rules(group_interval=SECOND)
    spoken, said = saying.heard([hosts_failed()], NOW), []
    for second in range(1, 3600):
        grown = hosts_failed(second + 2, occasions=second + 2, total=5000)
        now = NOW + second * SECOND
        decision = saying.decide([grown], spoken, now, rules)
        if isinstance(decision, Speak):
            spoken = telling.hearing(decision, spoken, now)
            said.append(second)

    assert said[:7] == [1, 2, 3, 5, 9, 17, 33]
    assert len(said) < 25


def test_the_end_of_a_job_is_told_at_once_however_much_was_told_before() -> None:
    spoken = Told(at=NOW, alerts=told(hosts_failed()).alerts, updates=50)
    rules = Rules(group_interval=SECOND)
    holding = [hosts_failed(), job_failed()]

    assert saying.decide(holding, spoken, NOW + SECOND, rules).reason is Why.NEW_ALERT


def test_a_message_says_what_ended_and_what_has_another_severity() -> None:
    spoken = told(hosts_failed(severity=WARNING), job_failed())
    decision = saying.decide([hosts_failed()], spoken, NOW, Rules())

    assert isinstance(decision, Speak)
    assert [(one.id, one.heard.severity) for one in decision.ended] == [
        ("hosts_failed/7001", WARNING),
        ("job_failed", CRITICAL),
    ]


def test_the_worst_severity_speaks_for_all() -> None:
    assert telling.severity([job_failed(severity=WARNING), hosts_failed()]) == CRITICAL
    assert telling.severity([job_failed(severity=WARNING)]) == WARNING
    assert telling.severity([]) == ""


def an_alert() -> st.SearchStrategy[Alert]:
    return st.builds(
        Alert,
        name=st.sampled_from(Name),
        severity=st.sampled_from(Severity),
        since=st.just(NOW),
        attempt=st.sampled_from([None, Attempt(7001, 0), Attempt(7002, 3)]),
        failed=st.integers(0, 3),
        total=st.integers(0, 3),
        occasions=st.integers(1, 3),
    )


def some_alerts() -> st.SearchStrategy[list[Alert]]:
    return st.lists(an_alert(), max_size=3, unique_by=lambda alert: alert.id)


def some_rules() -> st.SearchStrategy[Rules]:
    return st.builds(
        Rules,
        at_least=st.integers(1, 3),
        percent=st.sampled_from([0.0, 50.0, 100.0]),
        repeat_interval=st.sampled_from([SECOND, 3 * SECOND, HOURS_4]),
    )


@laws
@given(some_alerts(), st.none() | some_alerts(), some_rules(), st.booleans())
def test_a_decision_is_total_and_once_followed_it_is_not_taken_again(
    holding: list[Alert],
    last: list[Alert] | None,
    rules: Rules,
    lost: bool,  # noqa: FBT001  # hypothesis hands it in by position
) -> None:
    heard = None if last is None else saying.heard(last, NOW - SECOND)
    decision = saying.decide(holding, heard, NOW, rules, lost=lost)

    match decision:
        case Speak():
            followed = telling.hearing(decision, heard, NOW)
            again = saying.decide(holding, followed, NOW, rules, lost=lost)
            assert isinstance(again, Silent)
        case Silent():
            assert decision == saying.decide(holding, heard, NOW, rules, lost=lost)


@laws
@given(lives.a_life(), some_rules())
def test_a_sink_knows_of_trouble_exactly_as_long_as_it_is_worth_telling(
    life: list[Chapter], rules: Rules
) -> None:
    heard: Told | None = None
    for chapter in life:
        holding = [*chapter.after.alerts.values()]
        known = heard.alerts if heard else {}
        decision = saying.decide(holding, heard, chapter.now, rules)
        if isinstance(decision, Speak):
            assert (decision.reason is Why.RESOLVED) == (not decision.cases)
            heard = telling.hearing(decision, heard, chapter.now)

        over = known.keys().isdisjoint(chapter.after.alerts)
        fresh = saying.decide(holding, None, chapter.now, rules)
        firing = heard is not None and bool(heard.alerts)
        assert firing == (isinstance(fresh, Speak) or not over)


@laws
@given(lives.a_life(), some_rules())
def test_whoever_was_told_of_trouble_is_told_once_all_is_over(
    life: list[Chapter], rules: Rules
) -> None:
    last = life[-1]
    holding = [*last.after.alerts.values()]
    decision = saying.decide(holding, None, last.now, rules)
    spoken = saying.alerts(decision) if isinstance(decision, Speak) else ()
    heard = saying.heard(spoken, last.now)

    later = saying.decide([], heard, last.now + SECOND, rules)

    assert later.reason is (Why.RESOLVED if spoken else WhyNot.ALREADY_TOLD)
    ended = later.ended if isinstance(later, Speak) else ()
    assert [one.id for one in ended] == [alert.id for alert in spoken]


@pytest.mark.parametrize("percent", [0.0, 100.0])
def test_failed_hosts_of_an_unknown_total_are_a_share_all_the_same(
    percent: float,
) -> None:
    alert = hosts_failed(1, total=0)

    said = saying.decide([alert], None, NOW, Rules(percent=percent))

    assert said == saying.speak(Why.FIRST, [alert])
