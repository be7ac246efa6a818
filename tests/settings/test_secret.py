import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from monitor import errors
from monitor.settings import effective, secret
from tests.settings.written import SOURCE, faults, loaded, written

SECRETS = """\
sources:
  prod:
    api: esb-v2
    url: https://paas.example.com
    access_token_file: token
  test:
    api: esb-v2
    url: https://paas.example.com
    app_code: x
    app_secret: canary1
    token: canary2
web: {token: canary3, callback_token: canary8}
sinks:
  - name: a
    kind: webhook
    url: https://hooks.example.com/canary4
    secret: canary5
    headers: {X-Key: canary6}
  - {name: b, kind: plugin, plugin: p, options: {dsn: canary7}}
"""


def test_a_secret_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("first\n")
    before = secret.reveal(None, path)
    path.write_text("second\r\n")

    after = secret.reveal(None, path)

    assert (before, after) == ("first", "second")


def test_only_one_newline_is_taken_off(tmp_path: Path) -> None:
    (tmp_path / "s").write_text(" s \n\n")

    assert secret.reveal(None, tmp_path / "s") == " s \n"


def test_a_secret_that_is_written_down_is_itself() -> None:
    assert secret.reveal(SecretStr("s"), None) == "s"
    assert secret.reveal(None, None) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\n", "is empty"),
        (b"canary\xff", "is not UTF-8 text"),
        (b"c" * 70_000, "is larger than 64 KiB"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_named(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(errors.Misconfigured) as caught:
        secret.reveal(None, path)

    assert caught.value.faults == (f"{path}: {reason}",)
    assert caught.value.__context__ is None


def test_all_secrets_are_known(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("canary0\n")

    assert set(secret.known(loaded(tmp_path, SECRETS))) == {
        "canary0",
        "canary1",
        "canary2",
        "canary3",
        "https://hooks.example.com/canary4",
        "canary5",
        "canary6",
        "canary8",
    }


def test_no_secret_is_in_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("canary0\n")
    settings = loaded(tmp_path, SECRETS)

    shown = effective.text(settings) + repr(settings) + str(settings)

    assert "canary" not in shown
    assert f"access_token_file: {tmp_path}/token" in shown


@pytest.mark.parametrize(
    "mistake",
    [
        "    app_secret: [canary]",
        "    app_secret: {canary: 1}",
        "    app_secret: true\n    token: {a: canary}",
        "    app_secret: canary\n    app_secret_file: s",
        "    url: https://canary@example.com",
        "    url: 'canary://canary'",
        "    proxy: http://me:canary@example.com:x",
        "    token_file: [canary]",
        "store: postgresql://canary@db",
        "web: {listen: '0.0.0.0:1', token: [canary]}",
        "web: {callback_token: [canary]}",
        "web: {callback_token: canary, callback_token_file: s}",
        "sinks: [{name: a, kind: webhook, url: 'ftp://canary'}]",
        "sinks: [{name: a, kind: webhook, url: 'http://x', secret: 'whsec_canary!'}]",
        "sinks: [{name: a, kind: webhook, url: 'http://x', headers: {A: 'canary\n'}}]",
        "sinks: [{name: a, kind: plugin, plugin: [], options: {a: canary}}]",
    ],
)
def test_a_rejected_secret_is_neither_in_the_faults_nor_in_a_traceback(
    mistake: str, tmp_path: Path
) -> None:
    text = SOURCE.replace("    app_secret: 0123canary\n", "") + mistake

    found = faults(tmp_path, text)
    with pytest.raises(errors.Misconfigured) as caught:
        loaded(tmp_path, text)

    traced = "".join(traceback.format_exception(caught.value))
    assert found
    assert "canary" not in "".join(found) + traced


def test_a_rejected_variable_shows_no_secret(tmp_path: Path) -> None:
    environ = {
        "MONITOR_SOURCES__PROD__PROXY": "http://canary@x",
        "MONITOR_WEB": '{"token": ["canary"]}',
        "MONITOR_SINKS": '["canary"',
    }
    path = written(tmp_path, SOURCE)

    found = faults(tmp_path, path.read_text(), environ)

    assert len(found) == 3
    assert "canary" not in "".join(found)
