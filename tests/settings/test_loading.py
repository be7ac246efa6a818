import contextlib
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from monitor import errors
from monitor.settings import loading
from monitor.settings.model import (
    AlertSettings,
    LogSettings,
    PollingSettings,
    SourceSettings,
)
from monitor.sinks.log.config import LogConfig
from monitor.sinks.plugin.config import PluginConfig
from tests.settings.written import ENVIRONMENT, SOURCE, loaded, written


@contextlib.contextmanager
def standing_in(directory: Path) -> Iterator[None]:
    with contextlib.chdir(directory):
        yield


def test_a_source_alone_is_enough_and_everything_else_has_a_default(
    tmp_path: Path,
) -> None:
    settings = loaded(tmp_path)

    assert settings.sources == {
        "prod": SourceSettings(
            api="esb-v2",
            url="https://paas.example.com",
            app_code="job-monitor",
            app_secret=SecretStr("0123canary"),
            username="admin",
        )
    }
    assert settings.polling == PollingSettings()
    assert settings.alerts == AlertSettings()
    assert settings.log == LogSettings()
    assert settings.web is None
    assert settings.sinks == (LogConfig(name="log", kind="log"),)
    assert settings.retention == timedelta(days=90)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    text = SOURCE + "polling: {min_interval: 2s, settle: 1h}\nlog: {level: error}\n"

    settings = loaded(
        tmp_path,
        text,
        {
            "MONITOR_POLLING__MIN_INTERVAL": "5s",
            "MONITOR_LOG": '{"level": "debug"}',
            "MONITOR_LOG__FORMAT": "json",
            "MONITOR_WATCH_LISTS": '["/a.txt"]',
            "MONITOR_SOURCES__PROD__USERNAME": "12345",
            "MONITOR_SINKS": '[{"name": "x", "kind": "log"}]',
            "UNRELATED": "1",
        },
    )

    assert settings.polling.min_interval == timedelta(seconds=5)
    assert settings.polling.settle == timedelta(hours=1)
    assert settings.log == LogSettings(level="debug", format="json")
    assert settings.watch_lists == ("/a.txt",)
    assert settings.sources["prod"].username == "12345"
    assert [sink.name for sink in settings.sinks] == ["x"]


def test_an_empty_variable_takes_back_what_the_file_says(tmp_path: Path) -> None:
    text = SOURCE + "web: {listen: '127.0.0.1:1'}\n"

    assert loaded(tmp_path, text, {"MONITOR_WEB": ""}).web is None


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    with standing_in(tmp_path):
        settings = loading.load(None, {**ENVIRONMENT, "MONITOR_CONFIG": "unused"})

    token = settings.sources["prod"].access_token
    assert token is not None
    assert token.get_secret_value() == "[canary]"


def test_without_a_file_and_variables_it_says_what_to_do(tmp_path: Path) -> None:
    with standing_in(tmp_path), pytest.raises(errors.Misconfigured) as caught:
        loading.load(None, {"PATH": "/bin"})

    assert str(caught.value) == (
        "monitor.yaml: no such file; write one, name another with --config,"
        " or configure everything by MONITOR_… variables"
    )


def test_the_default_file_is_read_where_we_stand(tmp_path: Path) -> None:
    written(tmp_path, SOURCE)

    with standing_in(tmp_path):
        settings = loading.load(None, {})

    assert list(settings.sources) == ["prod"]
    assert settings.store == "sqlite:///monitor.db"


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured) as caught:
        loading.load(tmp_path / "no.yaml", ENVIRONMENT)

    reason = "cannot be read: No such file or directory"
    assert caught.value.faults == (f"{tmp_path}/no.yaml: {reason}",)


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"\xff" * 200_000)
    (tmp_path / "key").write_text("x")
    text = (
        SOURCE
        + "    ca_file: ca.pem\n"
        + "    client_cert_file: /dev/null\n"
        + "store: sqlite:///state/jobs.db\n"
        + "watch_lists: [a.txt, 'b/*', /abs.txt]\n"
        + "sinks: [{name: a, kind: webhook, url: 'http://x', secret_file: key}]\n"
    )

    settings = loaded(tmp_path, text)

    assert settings.sources["prod"].ca_file == tmp_path / "ca.pem"
    assert settings.store == f"sqlite:///{tmp_path}/state/jobs.db"
    assert settings.watch_lists == (
        f"{tmp_path}/a.txt",
        f"{tmp_path}/b/*",
        "/abs.txt",
    )
    assert getattr(settings.sinks[0], "secret_file", None) == tmp_path / "key"


def test_a_directory_with_a_wildcard_in_its_name_is_no_wildcard(
    tmp_path: Path,
) -> None:
    (tmp_path / "[a]").mkdir()

    settings = loaded(tmp_path / "[a]")

    assert settings.watch_lists[1] == f"{tmp_path}/[[]a]/watchlist.d/*"


def test_plain_scalars_stay_what_was_written(tmp_path: Path) -> None:
    text = (
        SOURCE.replace("admin", "12345")
        + "    timezone: +10:00\n"
        + "sinks:\n"
        + "  - {name: p, kind: plugin, plugin: x,"
        + " options: {a: 1, b: 1.5, c: true, d: off, e: 010, f: ~, g: 1e3}}\n"
    )

    settings = loaded(tmp_path, text)

    source = settings.sources["prod"]
    assert source.username == "12345"
    assert source.timezone == timezone(timedelta(hours=10))
    [plugin] = settings.sinks
    assert isinstance(plugin, PluginConfig)
    assert plugin.options == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": "off",
        "e": "010",
        "f": None,
        "g": "1e3",
    }


def test_a_secret_of_digits_needs_no_quotes(tmp_path: Path) -> None:
    digits, zero = loaded(tmp_path, SOURCE.replace("0123canary", "123")), "0123"
    leading = loaded(tmp_path, SOURCE.replace("0123canary", zero))

    assert digits.sources["prod"].app_secret == SecretStr("123")
    assert leading.sources["prod"].app_secret == SecretStr(zero)


def test_sources_share_what_is_anchored(tmp_path: Path) -> None:
    text = (
        SOURCE.replace("prod:", "prod: &prod")
        + "  test:\n    <<: *prod\n    url: https://test.example.com/\n"
    )

    sources = loaded(tmp_path, text).sources

    assert sources["test"].username == "admin"
    assert sources["test"].url == "https://test.example.com"


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = loaded(tmp_path)

    with pytest.raises(ValidationError):
        settings.locale = "zh-CN"
