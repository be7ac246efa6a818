from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import errors
from monitor.settings.model import AlertSettings, PollingSettings, Settings
from monitor.settings.model import SourceSettings as Source
from tests.settings.written import SOURCE, loaded

KEYS = [
    *("prod", "sinks", "<<", "kind", "name", "options", "match", "headers", ""),
    *Settings.model_fields,
    *Source.model_fields,
    *PollingSettings.model_fields,
    *AlertSettings.model_fields,
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["log", "webhook", "plugin", "1s", "http://[", "esb-v2", "0"])
)
trees = st.recursive(
    scalars,
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.integers(), inside, max_size=6)
    ),
    max_leaves=30,
)
names = st.lists(st.sampled_from(KEYS).map(str.upper), min_size=1, max_size=4)


def survives(text: str, environ: dict[str, str]) -> bool:
    """Load it: settings or faults, and nothing else."""
    with TemporaryDirectory() as directory:
        try:
            return bool(loaded(Path(directory), text, environ).sources)
        except errors.Misconfigured as refused:
            return bool(refused.faults) and all(refused.faults)


@given(st.dictionaries(st.sampled_from(KEYS), trees, max_size=6))
@settings(deadline=None)
def test_any_tree_is_accepted_or_refused_with_faults(tree: dict[str, object]) -> None:
    assert survives(yaml.safe_dump(tree, allow_unicode=True), {})


@given(st.text(alphabet="ab:-[]{}*&!|>'\"#%@ \n\t0<~?,\x00é", max_size=60))
@settings(deadline=None)
def test_any_text_is_accepted_or_refused_with_faults(text: str) -> None:
    assert survives(text, {})


@given(
    st.dictionaries(
        names.map(lambda parts: "MONITOR_" + "__".join(parts)),
        st.text(max_size=10)
        | st.sampled_from(["[]", "{}", "[1]", '{"a": {}}', "null"]),
        max_size=4,
    )
)
@settings(deadline=None)
def test_any_variable_is_accepted_or_refused_with_faults(
    environ: dict[str, str],
) -> None:
    assert survives(SOURCE, environ)
