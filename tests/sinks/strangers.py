"""Distributions of plugins, as an installer would leave them on the disk."""

import re
from pathlib import Path

SINKS_PAGE = Path(__file__).parents[2] / "docs" / "sinks.md"

HANGING = """
from contextlib import asynccontextmanager
import anyio

class Hanging:
    name = "hanging"

    async def deliver(self, message):
        await anyio.sleep_forever()

@asynccontextmanager
async def opened(name, options):
    yield Hanging()
"""


def example() -> str:
    """Give the sink that the documentation shows."""
    found = re.search(r"```python\n(.*?)```", SINKS_PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def install(site: Path, plugin: str, code: str, *, module: str | None = None) -> None:
    """Put a module and its entry point where ``sys.path`` will look."""
    module = module or f"job_monitor_{plugin}"
    (site / f"{module}.py").write_text(code)
    info = site / f"job_monitor_{plugin}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: job-monitor-{plugin}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        f"[monitor.sinks]\n{plugin} = {module}:opened\n"
    )
