"""The words of the pages: all of them in both languages, and what chooses between them."""

import re
import string
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from monitor.core.codes import Meaning
from monitor.core.reach import Cause, Standing
from monitor.core.state import Phase
from monitor.core.watch import Severity
from monitor.outlet import Condition
from monitor.ports import Sort
from monitor.web.api import events, instances
from monitor.web.pages import overview, rendering, speech
from monitor.web.pages.speech import CHINESE, Speech

TEMPLATES = sorted((rendering.HERE / "templates").glob("*.html"))
SAID = re.compile(r"""\bt\((?:"([^"]+)"|'([^']+)')""")
WORDS = (Meaning, Severity, Phase, Condition, Standing, Cause, instances.Standing)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_says_nothing_that_has_no_chinese(template: Path) -> None:
    said = {one or other for one, other in SAID.findall(template.read_text())}

    assert said <= CHINESE.keys()


@pytest.mark.parametrize("module", ["instance", "overview", "rendering"])
def test_a_module_says_nothing_that_has_no_chinese(module: str) -> None:
    text = (rendering.HERE / f"{module}.py").read_text()
    said = {one or other for one, other in SAID.findall(text)}

    assert said <= CHINESE.keys()


@pytest.mark.parametrize("words", WORDS, ids=lambda words: str(words.__name__))
def test_words_that_come_from_elsewhere_have_chinese(words: type[Meaning]) -> None:
    assert {str(word) for word in words} <= CHINESE.keys()


def test_orders_and_events_have_chinese() -> None:
    happened = {
        verb if subject == "instance" else f"{subject} {verb}"
        for _, subject, verb in (type_.split(".") for type_ in events.TYPES)
    }

    assert {*overview.SORTS} == {*Sort}
    assert {*overview.SORTS.values()} <= CHINESE.keys()
    assert happened <= CHINESE.keys()


def test_both_languages_fill_in_the_same() -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert all(fields(phrase) == fields(said) for phrase, said in CHINESE.items())


@pytest.mark.parametrize(
    ("path", "headers", "chosen"),
    [
        ("/", {}, "en"),
        ("/", {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}, "zh-CN"),
        ("/", {"Accept-Language": "zh-TW"}, "zh-CN"),
        ("/", {"Accept-Language": "de-DE,de;q=0.9,en;q=0.5"}, "en"),
        ("/", {"Accept-Language": "fr"}, "zh-CN"),
        ("/", {"Cookie": f"{speech.COOKIE}=zh-CN", "Accept-Language": "en"}, "zh-CN"),
        ("/", {"Cookie": f"{speech.COOKIE}=xx", "Accept-Language": "en"}, "en"),
        ("/?lang=en", {"Cookie": f"{speech.COOKIE}=zh-CN"}, "en"),
        ("/?lang=xx", {"Accept-Language": "zh"}, "zh-CN"),
    ],
)
def test_a_page_speaks_as_it_is_asked_to(
    path: str, headers: dict[str, str], chosen: str
) -> None:
    request = make_mocked_request("GET", path, headers=headers)
    default = "zh-CN" if headers else "en"

    assert speech.chosen(request, default) == chosen


def test_a_phrase_is_said_with_what_it_is_about() -> None:
    assert Speech("en")("attempt {number}", number=2) == "attempt 2"
    assert Speech("zh-CN")("attempt {number}", number=2) == "第 2 次执行"
