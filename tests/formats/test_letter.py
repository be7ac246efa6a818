"""Letters for people: what they say, and that hostile text does nothing in them."""

import pytest

from monitor import errors
from monitor.core.message import Message
from monitor.formats import letter
from monitor.formats.letter import BODY_MAX, Letter, Markup
from tests.formats.notified import failing, notified, recovered
from tests.sinks.messages import a_notification, an_event

MARKUPS: tuple[Markup, ...] = ("text", "markdown")
each_markup = pytest.mark.parametrize("markup", MARKUPS)

HOSTILE = "<!channel> @all <b>x</b> [bank](http://evil.example) `rm` **x** ![](//e)\r\n\x1b[2J"


def written(message: Message, markup: Markup = "text", locale: str = "en") -> Letter:
    return letter.of(message, markup=markup, locale=locale)


def test_a_letter_says_who_failed_how_and_why() -> None:
    [message] = notified(failing(412, name="nightly deploy"))

    found = written(message)

    assert found.title == "CRITICAL · nightly deploy"
    assert found.severity == "critical"
    assert "Hosts failed · 412/413" in found.body
    assert "412 × " in found.body
    assert "10.0.1.0, " in found.body
    assert "cp: cannot create /data/a1: No space left on device" in found.body


def test_a_letter_says_that_all_is_well_again() -> None:
    found = written(notified(failing(), recovered())[-1])

    assert found.title == "RECOVERED · deploy"
    assert found.severity == ""
    assert "Over: Hosts failed" in found.body


def test_a_letter_is_written_in_the_language_of_its_reader() -> None:
    [message] = notified(failing())

    found = written(message, locale="zh-CN")

    assert found.title == "严重 · deploy"
    assert "主机执行失败" in found.body


def test_markdown_marks_what_matters_and_links() -> None:
    [message] = notified(failing())
    link = a_notification(link="https://job.example.com/a(b)")

    assert "**Hosts failed · 2/3" in written(message, "markdown").body
    assert (
        "[Open in JOB](https://job.example.com/a%28b%29)"
        in written(link, "markdown").body
    )
    assert "https://job.example.com/a(b)" in written(link).body.splitlines()


@each_markup
def test_hostile_text_calls_nobody_and_links_nowhere(markup: Markup) -> None:
    [message] = notified(failing(name=HOSTILE), log=HOSTILE)

    found = written(message, markup)

    for text in (found.title, found.body):
        assert not {"@", "<", "\r", "\x1b"} & set(text)
        assert "[bank]" not in text
    if markup == "markdown":
        assert not {"`", ">x"} & set(found.body)
        assert "**x**" not in found.body


@each_markup
def test_a_letter_is_bounded_whatever_happened(markup: Markup) -> None:
    [message] = notified(failing(5000, name=HOSTILE * 100), log=f"{HOSTILE}\n" * 500)

    found = written(message, markup)

    assert len(found.body) <= BODY_MAX
    assert len(found.title) <= 300


def test_a_letter_is_never_empty() -> None:
    assert written(a_notification()).body == "CRITICAL · nightly deploy"


def test_an_event_is_no_letter() -> None:
    with pytest.raises(errors.Rejected, match="is no notification"):
        written(an_event())
