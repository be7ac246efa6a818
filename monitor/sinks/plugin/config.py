"""What a sink of the kind ``plugin`` takes."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer

from monitor.sinks.notation import Common, Timeout


class PluginConfig(Common):
    kind: Literal["plugin"]

    plugin: Annotated[str, Field(min_length=1, max_length=128)]
    """The name of an entry point in the group ``monitor.sinks``."""

    options: Annotated[Mapping[str, Any], Field(repr=False)] = {}
    """Handed to the plugin as they are; shown to nobody."""

    timeout: Timeout = timedelta(seconds=30)
    """For one try as a whole."""

    @field_serializer("options")
    def _masked(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        return dict.fromkeys(options, "**********")
