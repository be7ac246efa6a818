from monitor.core import subscription
from monitor.core.message import Kind
from monitor.core.subscription import Subscription

EVENTS = (Kind.EVENTS,)


def since(position: int, *match: str, send: tuple[Kind, ...] = EVENTS) -> Subscription:
    return Subscription(sink="chat", send=send, match=match, position=position)


def test_what_stands_behind_a_change_is_read_by_the_new_rule() -> None:
    old, new = since(0, "team=dba"), since(10, "team=sre")

    assert subscription.in_force([old, new], 10) == old
    assert subscription.in_force([old, new], 11) == new


def test_before_the_first_rule_there_was_no_sink() -> None:
    assert subscription.in_force([since(10)], 10) is None
    assert subscription.in_force([], 1) is None


def test_a_sink_that_comes_back_reads_by_its_new_rule_from_where_it_was() -> None:
    old, gone, back = since(0, "team=dba"), since(10, send=()), since(10)

    assert subscription.in_force([old, gone, back], 10) == old
    assert subscription.in_force([old, gone, back], 15) == back


def test_the_first_matcher_that_does_not_fit_is_named() -> None:
    asked = since(0, 'team="dba"', "severity=~crit.*", "env!=prod")

    assert subscription.unfit(asked, {"team": "dba", "severity": "critical"}) == ""
    assert subscription.unfit(asked, {"team": "dba"}) == 'severity=~"crit.*"'
    assert subscription.unfit(asked, {"team": "sre"}) == 'team="dba"'


def test_only_what_is_asked_for_makes_another_rule() -> None:
    assert since(1, "a=b").asks_as(since(7, "a=b"))
    assert not since(1, "a=b").asks_as(since(1, "a=c"))
    assert not since(1).asks_as(since(1, send=(Kind.ALERTS,)))
