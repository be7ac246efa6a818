"""What of the settings is compared between daemons, and what never leaves one."""

from pathlib import Path

import pytest

from monitor.settings.digests import digests
from tests.settings.written import SOURCE, loaded

SINKS = """\
sinks:
  - {name: oncall, kind: webhook, url: https://hooks.example.com/0123canary,
     match: ['severity="critical"'], secret: whsec_MDEyM2NhbmFyeTAxMjNjYW5hcnkwMTIz}
  - {name: mail, kind: apprise, urls: ['mailtos://me:0123canary@example.com']}
"""


def changed(directory: Path, before: str, after: str) -> set[str]:
    """Name the parts of which the digests differ."""
    old, new = digests(loaded(directory, before)), digests(loaded(directory, after))
    return {name for name, _ in old.items() ^ new.items()}


def test_the_same_settings_have_the_same_digests(tmp_path: Path) -> None:
    assert changed(tmp_path, SOURCE + SINKS, SOURCE + SINKS) == set()
    assert digests(loaded(tmp_path, SOURCE + SINKS)).keys() == {
        "sources.prod",
        "polling",
        "alerts",
        "routes",
        "silences",
        "retention",
        "locale",
        "sinks.oncall",
        "sinks.mail",
    }


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("https://paas.example.com", "https://other.example.com", "sources.prod"),
        ("https://hooks.example.com", "https://chat.example.com", "sinks.oncall"),
        ('severity="critical"', 'severity="warning"', "sinks.oncall"),
        ("sources:", "polling: {max_interval: 2m}\nsources:", "polling"),
        ("sources:", "alerts: {settle_for: 9s}\nsources:", "alerts"),
        ("sources:", "routes: [{sinks: [mail]}]\nsources:", "routes"),
        ("name: mail", "name: post", "sinks.mail"),
    ],
)
def test_what_is_changed_is_noticed_where_it_is(
    tmp_path: Path, old: str, new: str, part: str
) -> None:
    text = SOURCE + SINKS

    assert changed(tmp_path, text, text.replace(old, new)) - {"sinks.post"} == {part}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("app_secret: 0123canary", "app_secret: another"),
        ("app_secret: 0123canary", "app_secret_file: monitor.yaml"),
        ("hooks.example.com/0123canary", "hooks.example.com/another"),
        ("whsec_MDEyM2NhbmFyeTAxMjNjYW5hcnkwMTIz", f"whsec_{'QUJD' * 8}"),
        ("me:0123canary@", "me:another@"),
        ("urls: ['mailtos://me:0123canary@example.com']", "urls_file: monitor.yaml"),
    ],
)
def test_a_secret_is_in_no_digest(tmp_path: Path, old: str, new: str) -> None:
    text = SOURCE + SINKS
    assert old in text

    assert changed(tmp_path, text, text.replace(old, new)) == set()


@pytest.mark.parametrize(
    "own",
    [
        "watch_lists: [mine.txt]\n",
        "store: sqlite:///mine.db\n",
        "shutdown_grace: 1s\n",
        "log: {level: debug}\n",
        "web: {listen: '127.0.0.1:9999'}\n",
    ],
)
def test_what_each_machine_has_as_it_needs_it_is_not_compared(
    tmp_path: Path, own: str
) -> None:
    assert changed(tmp_path, SOURCE, SOURCE + own) == set()
    assert changed(tmp_path, SOURCE, SOURCE + "    proxy: http://proxy:3128\n") == set()
    assert changed(tmp_path, SOURCE, SOURCE + "    ca_file: monitor.yaml\n") == set()
