"""Matchers mean what they mean to Alertmanager."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import matchers
from monitor.core.matchers import Matcher, Op

TRAITS = {"severity": "critical", "team": "sre", "note": 'say "hi" \\o/'}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ('severity="critical"', True),
        ('severity = "critical"', True),
        ("severity=critical", True),
        ('severity="crit"', False),
        ('severity!="warning"', True),
        ("severity!=critical", False),
        ('team=~"sre|dba"', True),
        ("team=~sre|dba", True),
        ('team=~"sr"', False),
        ('team=~"r|s"', False),
        ('team!~"dba|sr"', True),
        ('team!~"s.."', False),
        ('team=~"^sre$"', True),
        (r'note="say \"hi\" \\o/"', True),
        (r'team=~"\w{3}"', True),
    ],
)
def test_a_matcher_looks_at_the_whole_value_of_one_trait(
    text: str, *, matches: bool
) -> None:
    assert matchers.parse(text).matches(TRAITS) is matches


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ('owner=""', True),
        ("owner=", True),
        ("owner!=", False),
        ('owner="x"', False),
        ('owner!="x"', True),
        ('owner=~".*"', True),
        ('owner=~".+"', False),
        ('owner!~".+"', True),
    ],
)
def test_an_absent_trait_is_the_empty_string(text: str, *, matches: bool) -> None:
    assert matchers.parse(text).matches(TRAITS) is matches


@pytest.mark.parametrize(
    "text",
    [
        "",
        "severity",
        '="critical"',
        "severity==critical",
        "severity='critical'",
        'severity="critical',
        'severity="a" team="b"',
        "team=two words",
        '{severity="critical"}',
        "x=" + "a" * 600,
    ],
)
def test_what_is_no_matcher_is_answered_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match='write name="value"'):
        matchers.parse(text)


@pytest.mark.parametrize(
    "pattern",
    ["(", "[a", "a{1001}", "*", r"(a)\1", "(?=a)", r"(\pL{30}){30}"],
)
def test_what_is_no_regex_of_re2_is_refused_with_its_fault(pattern: str) -> None:
    with pytest.raises(ValueError, match="is none of RE2's: "):
        matchers.parse(f'team=~"{pattern}"')


def test_nothing_of_a_refused_regex_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ValueError, match="RE2"):
        matchers.parse('team=~"canary("')

    assert capfd.readouterr() == ("", "")


def test_a_regex_has_a_longest_length() -> None:
    matchers.parse(f'team=~"{"a" * 256}"')

    with pytest.raises(ValueError, match="longer than 256"):
        matchers.parse(f'team=~"{"a" * 257}"')


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a|a)*b", "((a*)b?)*c", r"(\w+\s?)*x", ".*" * 60 + "b", "(a?){60}b"],
)
def test_no_regex_takes_for_ever_on_any_value(pattern: str) -> None:
    matcher = matchers.parse(f'team=~"{pattern}"')

    assert not matcher.matches({"team": "a" * 256})


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (r"(\d{1,3}\.){3}\d+", "10.0.0.12"),
        ("(web|db)+.*", "webdb-01"),
        ("重启.*", "重启服务"),
        ("(?i)SRE", "sre"),
    ],
)
def test_ordinary_regexes_mean_what_they_mean_elsewhere(
    pattern: str, value: str
) -> None:
    assert matchers.parse(f'team=~"{pattern}"').matches({"team": value})


def test_what_is_no_text_is_matched_by_nothing_it_is_not() -> None:
    matcher = matchers.parse("team=~a.b")

    assert matcher.matches({"team": "a\udc80b"})
    assert not matcher.matches({"team": "\udc80"})


def test_a_regex_sees_the_first_256_characters_of_a_value() -> None:
    traits = {"team": "a" * 256 + "b"}

    assert matchers.parse("team=~a+").matches(traits)
    assert not matchers.parse("team=~.*b").matches(traits)


def test_all_must_match_and_none_means_everything() -> None:
    both = [matchers.parse("severity=critical"), matchers.parse("team=sre")]
    one = [*both, matchers.parse("team=dba")]

    assert matchers.all_match(both, TRAITS)
    assert not matchers.all_match(one, TRAITS)
    assert matchers.all_match([], TRAITS)


@given(st.text(max_size=80), st.sampled_from([Op.EQUAL, Op.UNEQUAL]))
def test_a_matcher_that_is_written_down_is_read_back(value: str, op: Op) -> None:
    matcher = Matcher("team", op, value)

    assert matchers.parse(str(matcher)) == matcher


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_negated_matcher_matches_exactly_what_the_other_does_not(
    value: str, found: str
) -> None:
    traits = {"team": found}

    equal, unequal = (
        Matcher("team", Op.EQUAL, value),
        Matcher("team", Op.UNEQUAL, value),
    )
    assert equal.matches(traits) is not unequal.matches(traits)


@given(st.text(max_size=600))
def test_any_text_is_a_matcher_or_a_value_error(text: str) -> None:
    try:
        matcher = matchers.parse(text)
    except ValueError:
        return
    assert matchers.parse(str(matcher)) == matcher
