from pathlib import Path

import pytest

from tests.sinks import strangers


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of installed plugins, two of them there: file and hanging."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    strangers.install(folder, "file", strangers.example())
    strangers.install(folder, "hanging", strangers.HANGING)
    monkeypatch.syspath_prepend(folder)
    return folder
