import os
import socket
import stat
from pathlib import Path

import pytest

from monitor import errors
from monitor.web import unix


def left_behind(path: Path) -> None:
    """Do as a daemon that was killed."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


def answers(path: Path) -> bool:
    try:
        unix.connected(path, 1).close()
    except OSError:
        return False
    return True


def test_it_lies_beside_the_store_or_where_systemd_made_a_directory() -> None:
    store = Path("/var/lib/x/monitor.db")

    assert unix.place(store, {}) == Path("/var/lib/x/monitor.sock")
    assert unix.place(store, {"RUNTIME_DIRECTORY": "/run/a:/run/b"}) == Path(
        "/run/a/job-monitor.sock"
    )


@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_it_is_there_with_its_mode_while_the_block_lasts(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "m.sock"

    with unix.listening(path, mode):
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert answers(path)

    assert not path.exists()


def test_what_a_dead_daemon_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    left_behind(path)
    assert path.exists()
    assert not answers(path)

    with unix.listening(path, 0o600):
        assert answers(path)


def test_the_socket_of_a_living_daemon_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    with unix.listening(path, 0o600):
        with (
            pytest.raises(errors.Misconfigured, match="another Job Monitor; stop it"),
            unix.listening(path, 0o600),
        ):
            pass

        assert answers(path)


def test_a_file_that_is_no_socket_is_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    path.write_text("precious")

    with (
        pytest.raises(errors.Misconfigured, match="is no socket"),
        unix.listening(path, 0o600),
    ):
        pass

    assert path.read_text() == "precious"


def test_what_is_another_daemons_by_now_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    with unix.listening(path, 0o600):
        path.rename(tmp_path / "moved.sock")
        left_behind(path)

    assert path.exists()


def test_the_length_of_its_directory_is_no_limit(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["directory-with-a-name-of-some-length"] * 5)
    deep.mkdir(parents=True)
    path = deep / "m.sock"
    assert len(os.fsencode(path)) > unix.LONGEST

    with unix.listening(path, 0o600):
        assert answers(path)
        assert stat.S_ISSOCK(path.stat().st_mode)

    assert list(deep.iterdir()) == []


def test_a_name_that_is_too_long_even_so_is_the_systems_own_error(
    tmp_path: Path,
) -> None:
    with pytest.raises(OSError), unix.listening(tmp_path / ("m" * 200), 0o600):
        pass
