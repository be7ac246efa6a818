"""Helm's own code, in a process of its own: it is in Go, and keeps its runtime."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

_PROGRAM: Final = """
import json, sys
import helm_python as helm

path, values = sys.argv[1], json.load(sys.stdin)
lint = helm.lint(path, values=values)["errors"]
found = {"lint": lint, "files": {}, "refused": ""}
if not lint:
    with helm.Chart.load(path) as chart:
        try:
            found["files"] = chart.render(values, name="demo", namespace="prod")
        except helm.HelmRenderError as refused:
            found["refused"] = str(refused)
print(json.dumps(found))
"""


def needs(module: str, package: str) -> None:
    """Skip aloud where *module* is missing."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"there is no {package}: pip install {package}")


class Chart:
    """*values* are laid over those of the chart.

    *errors* are what lint found, *refused* what a template said to values that fit the
    schema.
    """

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        needs("helm_python", "helm-python-sdk")
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(path)],
            input=json.dumps(values),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        self.errors: list[str] = said["lint"]
        self.refused: str = said["refused"]
        self.notes: str = next(
            (text for name, text in said["files"].items() if name.endswith(".txt")), ""
        )
        self.objects: list[dict[str, Any]] = [
            each
            for name, text in said["files"].items()
            if name.endswith(".yaml")
            for each in yaml.safe_load_all(text)
            if each
        ]

    def of(self, kind: str) -> dict[str, Any]:
        """Give the first of this *kind*."""
        return next(each for each in self.objects if each["kind"] == kind)
