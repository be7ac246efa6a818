"""What is promised of every message: the published schemas."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator

from tests.e2e.receiver import NOTIFICATION, Delivery

DOCS: Final = Path(__file__).parents[2] / "docs"


def _validator(name: str) -> Draft202012Validator:
    schema: Any = json.loads((DOCS / f"{name}.schema.json").read_text())
    return Draft202012Validator(
        schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


_EVENT: Final = _validator("events")
_NOTIFICATION: Final = _validator("notification")


def breaches(deliveries: Iterable[Delivery]) -> list[str]:
    """Say where messages break the contract, and how."""
    return [
        f"{delivery.id}: {error.json_path}: {error.message[:300]}"
        for delivery in deliveries
        for error in _schema(delivery).iter_errors(delivery.said)
    ]


def _schema(delivery: Delivery) -> Draft202012Validator:
    return _NOTIFICATION if delivery.type == NOTIFICATION else _EVENT
