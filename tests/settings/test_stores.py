"""The store is named by a URL, whose password is shown to nobody."""

from pathlib import Path

import pytest

from monitor import logs
from monitor.settings import effective, loading, secret, stores
from tests.settings.written import SOURCE, loaded

URL = "postgresql://me:can%40ary/1@db:5433/jobs?sslmode=verify-full"


def test_a_database_stays_where_it_is(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SOURCE + f"store: {URL}\n")

    assert settings.store == URL


def test_the_password_of_a_database_is_a_secret(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SOURCE + f"store: {URL}\n")

    assert {"can@ary/1", "can%40ary/1"} <= {*secret.known(settings)}
    assert effective.values(settings)["store"] == URL.replace(
        "can%40ary/1", logs.HIDDEN
    )
    assert "ary" not in effective.text(settings).replace("0123canary", "")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///state/jobs.db", "state/jobs.db"),
        ("postgresql://db/jobs", "jobs.db"),
        ("postgresql://db/%2e%2e%2fjobs?x=y", "jobs.db"),
        ("postgresql:///%2f%2e", "monitor.db"),
    ],
)
def test_the_control_socket_lies_beside_the_configuration(
    url: str, name: str, tmp_path: Path
) -> None:
    settings = loaded(tmp_path, SOURCE + f"store: {url}\n")

    assert settings.store_file == tmp_path / name
    assert loading.store(tmp_path / "monitor.yaml", {}) == tmp_path / name


@pytest.mark.parametrize("url", ["sqlite:///a.db", "postgresql://db/jobs"])
def test_without_a_password_nothing_is_masked(url: str) -> None:
    assert stores.shown(url, logs.HIDDEN) == url
    assert stores.passwords(url) == set()
