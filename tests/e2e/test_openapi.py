"""The API against its own description, by a tool that believes nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import anyio.to_thread
import pytest

from monitor.simulator import entry
from monitor.simulator.server import serving
from tests.e2e.daemon import running
from tests.e2e.site import Site
from tests.e2e.theatre import Stage
from tests.support import ports

TOKEN: Final = "for-schemathesis"
TOOL: Final = Path(sys.executable).with_name("schemathesis")

# A stream has no end to wait for; tests/web/test_lists.py reads it.
LEFT_OUT: Final = "/api/v1/stream"

# Not asked: that every text a schema allows is accepted. What a matcher, a moment or
# a pair of fields may say is more than JSON Schema can.
CHECKS: Final = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,"
    "negative_data_rejection,missing_required_header,unsupported_method,"
    "ignored_auth,use_after_free,ensure_resource_availability"
)


@pytest.mark.timeout(240)
async def test_it_answers_as_it_is_described(tmp_path: Path) -> None:
    if shutil.which(TOOL) is None:
        pytest.skip("there is no schemathesis: it is in the dev requirements")
    stage = Stage()
    key = entry.enact(stage.world, entry.decoded({"scenario": "mixed_failure"}))
    stage.now = 30

    async with serving(stage.world) as stage.url:
        site = Site(tmp_path, stage.url)
        site.settings["web"] = {"listen": f"127.0.0.1:{ports.free()}", "token": TOKEN}
        site.write()
        site.watch(f"{key} team=sre")
        with running(site.config) as daemon:
            url = (await daemon.says("web.listening"))["url"]
            await daemon.says("service.started")
            found = await anyio.to_thread.run_sync(_tried, url, tmp_path)

    assert found.returncode == 0, found.stdout[-6000:]


def _tried(url: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(str(TOOL), "run", f"{url}/api/v1/openapi.json"),
            *("--header", f"Authorization: Bearer {TOKEN}"),
            *("--exclude-path", LEFT_OUT, "--checks", CHECKS),
            *("--max-examples", "15", "--no-color"),
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
