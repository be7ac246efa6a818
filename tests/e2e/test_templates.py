"""A template of the operator's own, changed while the daemon runs."""

import signal
from pathlib import Path
from typing import Final

import pytest

from monitor.simulator import entry
from monitor.simulator.server import serving
from tests.e2e.daemon import running
from tests.e2e.receiver import receiving
from tests.e2e.site import QUICK, Site, webhook
from tests.e2e.theatre import Stage

pytest.importorskip("jinja2", reason="Jinja2 is not installed")

TEMPLATE: Final = (
    '{"id": "{{ message.id }}", "type": "{{ message.type }}",'
    ' "text": "TITLE {{ brief.headline }}"}'
)


async def test_a_template_file_that_changed_is_used_from_the_hangup_on(
    tmp_path: Path,
) -> None:
    stage = Stage()
    story = {"beat": 1, "scenario": "mixed_failure"}
    key = entry.enact(stage.world, entry.decoded(story))
    stage.now = 4  # hosts have failed, and the job has ended
    file = tmp_path / "chat.json.j2"
    file.write_text(TEMPLATE.replace("TITLE", "one"))

    async with serving(stage.world) as stage.url, receiving() as receiver:
        by = {"format": "template", "template": "chat", "send": ["alerts"]}
        site = Site(
            tmp_path,
            stage.url,
            templates={"chat": {"file": "chat.json.j2"}},
            sinks=[webhook(receiver.url, **by)],
            polling={**QUICK, "logs": False},
        )
        site.watch(key)
        with running(site.config) as daemon:
            await daemon.reaches(lambda: receiver.deliveries, "what failed is told")
            file.write_text(TEMPLATE.replace("TITLE", "two"))
            daemon.signal(signal.SIGHUP)
            await daemon.says("configuration.changed")
            await stage.retry("2/20000153")
            stage.now = 20
            await daemon.reaches(
                lambda: len(receiver.deliveries) == 2, "the recovery is told"
            )
            assert await daemon.stop() == 0

    assert all(delivery.genuine for delivery in receiver.deliveries)
    texts = [str(delivery.said["text"]).split() for delivery in receiver.deliveries]
    assert [(text[0], text[1]) for text in texts] == [
        ("one", "CRITICAL"),
        ("two", "RECOVERED"),
    ]
