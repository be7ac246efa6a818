from pathlib import Path

import pytest

from tests.settings.written import SOURCE, faults

TABLE = {
    "an unknown key names the nearest": (
        SOURCE + "    requests_per_secnd: 5\n",
        (
            "monitor.yaml:8:5: sources.prod.requests_per_secnd:"
            " unknown key 'requests_per_secnd'; did you mean 'requests_per_second'?"
        ),
    ),
    "an unknown key at the top": (
        SOURCE + "poling: {}\n",
        "monitor.yaml:8:1: poling: unknown key 'poling'; did you mean 'polling'?",
    ),
    "an unknown key of a sink": (
        SOURCE + "sinks: [{name: a, kind: webhook, url: 'http://x', secrt: s}]\n",
        "monitor.yaml:8:51: sinks.0.secrt: unknown key 'secrt'; did you mean 'secret'?",
    ),
    "an unknown key like no other": (
        SOURCE + "zzz: 1\n",
        "monitor.yaml:8:1: zzz: unknown key 'zzz'",
    ),
    "a key that would be an argument of the library": (
        SOURCE + "_env_file: /etc/passwd\n",
        "monitor.yaml:8:1: _env_file: unknown key '_env_file'",
    ),
    "a duplicate key": (
        SOURCE + "locale: en\nlocale: zh-CN\n",
        "monitor.yaml:9:1: duplicate key 'locale'; the first is on line 8",
    ),
    "text for a number": (
        SOURCE + "    max_in_flight: many\n",
        (
            "monitor.yaml:8:5: sources.prod.max_in_flight:"
            " must be a whole number, not 'many'"
        ),
    ),
    "a number out of range": (
        SOURCE + "    max_in_flight: 0\n",
        "monitor.yaml:8:5: sources.prod.max_in_flight: must be at least 1, not 0",
    ),
    "a number that is none": (
        SOURCE + "    requests_per_second: .inf\n",
        (
            "monitor.yaml:8:5: sources.prod.requests_per_second:"
            " must be a number, not '.inf'"
        ),
    ),
    "a duration without a unit": (
        SOURCE + "    timeout: 30\n",
        (
            "monitor.yaml:8:5: sources.prod.timeout:"
            " '30' has no unit: write 30s for seconds"
        ),
    ),
    "a duration that cannot be nothing": (
        SOURCE + "retention: 0s\n",
        "monitor.yaml:8:1: retention: must be longer than 0s",
    ),
    "a size": (
        SOURCE + "    max_body: 64MB\n",
        (
            "monitor.yaml:8:5: sources.prod.max_body:"
            " '64MB' is no size: write it like 64MiB"
        ),
    ),
    "an offset": (
        SOURCE + "    timezone: CST\n",
        (
            "monitor.yaml:8:5: sources.prod.timezone:"
            " 'CST' is no offset: write it like \"+08:00\""
        ),
    ),
    "a word out of a list": (
        SOURCE + "locale: fr\n",
        "monitor.yaml:8:1: locale: must be 'en' or 'zh-CN', not 'fr'",
    ),
    "a store that is not built": (
        SOURCE + "store: mysql://me:canary@db/jobs\n",
        (
            "monitor.yaml:8:1: store: must name a file or a database,"
            " like sqlite:///monitor.db or postgresql://user@host/database"
        ),
    ),
    "a database without a name": (
        SOURCE + "store: postgresql://me:canary@db\n",
        (
            "monitor.yaml:8:1: store: must be like"
            " postgresql://user:password@host/database"
        ),
    ),
    "a driver that is not ours": (
        SOURCE + "store: postgresql+asyncpg://me:canary@db/jobs\n",
        (
            "monitor.yaml:8:1: store: must be like"
            " postgresql://user:password@host/database"
        ),
    ),
    "a password that ends too early": (
        SOURCE + "store: postgresql://me:can@ary@db/jobs\n",
        (
            "monitor.yaml:8:1: store:"
            " must have @ as %40 and # as %23 in a name or a password"
        ),
    ),
    "a password behind the address": (
        SOURCE + "store: postgresql://me@db/jobs?password=canary\n",
        (
            "monitor.yaml:8:1: store: must have its password before the @,"
            " or none (see PGPASSFILE)"
        ),
    ),
    "a store that forgets": (
        SOURCE + "store: 'sqlite://'\n",
        (
            "monitor.yaml:8:1: store: must name a file or a database,"
            " like sqlite:///monitor.db or postgresql://user@host/database"
        ),
    ),
    "an address with a password": (
        SOURCE.replace("https://", "https://me:canary@"),
        "monitor.yaml:4:5: sources.prod.url: must not hold a user or a password",
    ),
    "an address with a query": (
        SOURCE.replace(".com", ".com/?token=canary"),
        (
            "monitor.yaml:4:5: sources.prod.url:"
            " must end with the path: no spaces, no ? and no #"
        ),
    ),
    "an address of something else": (
        SOURCE.replace("https://", "ftp://"),
        (
            "monitor.yaml:4:5: sources.prod.url:"
            " must be an http:// or https:// address with a host"
        ),
    ),
    "an address whose port is none": (
        SOURCE.replace(".com", ".com:canary"),
        "monitor.yaml:4:5: sources.prod.url: is no valid address",
    ),
    "a source without api": (
        SOURCE.replace("    api: esb-v2\n", ""),
        "monitor.yaml:2:3: sources.prod.api: is missing",
    ),
    "no source": ("locale: en\n", "monitor.yaml: sources: is missing"),
    "an empty file": ("", "monitor.yaml: sources: is missing"),
    "empty sources": (
        "sources: {}\n",
        "monitor.yaml:1:1: sources: needs at least 1",
    ),
    "a source's name": (
        SOURCE.replace("prod:", "Prod:"),
        (
            "monitor.yaml:2:3: sources.Prod:"
            " the name of a source has a-z, 0-9 and _ only, at most 64"
        ),
    ),
    "a source named like a scope type": (
        SOURCE.replace("prod:", "biz_set:"),
        (
            "monitor.yaml:2:3: sources.biz_set:"
            " is a scope type, and keys would become ambiguous"
        ),
    ),
    "half of the credentials": (
        SOURCE.replace("    username: admin\n", ""),
        (
            "monitor.yaml:2:3: sources.prod: username missing: give app_code, app_secret"
            " and username (or token), or else access_token; a secret also as …_file"
        ),
    ),
    "a secret given twice": (
        SOURCE + "    app_secret_file: monitor.yaml\n",
        (
            "monitor.yaml:8:5: sources.prod.app_secret_file:"
            " app_secret is given as well; keep one of the two"
        ),
    ),
    "a secret's file that is not there": (
        SOURCE.replace("app_secret: 0123canary", "app_secret_file: nowhere/s"),
        (
            "monitor.yaml:6:5: sources.prod.app_secret_file:"
            " nowhere/s: cannot be read: No such file or directory"
        ),
    ),
    "an authority's file that is not there": (
        SOURCE + "    ca_file: ca.pem\n",
        (
            "monitor.yaml:8:5: sources.prod.ca_file:"
            " ca.pem: cannot be read: No such file or directory"
        ),
    ),
    "a client key without a certificate": (
        SOURCE + "    client_key_file: monitor.yaml\n",
        (
            "monitor.yaml:8:5: sources.prod.client_key_file:"
            " client_cert_file is missing beside it"
        ),
    ),
    "intervals the wrong way round": (
        SOURCE + "polling: {min_interval: 10s, max_interval: 5s}\n",
        (
            "monitor.yaml:8:30: polling.max_interval:"
            " max_interval (5s) is shorter than min_interval (10s)"
        ),
    ),
    "an interval longer than the default of the other": (
        SOURCE + "polling: {min_interval: 2m}\n",
        (
            "monitor.yaml:8:1: polling:"
            " max_interval (1m) is shorter than min_interval (2m)"
        ),
    ),
    "a key under alerts that the design does not name": (
        SOURCE + "alerts: {severity: warning}\n",
        "monitor.yaml:8:10: alerts.severity: unknown key 'severity'",
    ),
    "listening to the world without a token": (
        SOURCE + "web: {listen: '0.0.0.0:8321'}\n",
        (
            "monitor.yaml:8:1: web: listening on 0.0.0.0:8321 needs a token or"
            " token_file; without one, listen on 127.0.0.1"
        ),
    ),
    "a token that is none": (
        SOURCE + "web: {listen: '0.0.0.0:8321', token: ''}\n",
        ("monitor.yaml:8:31: web.token: must not be empty: it would let everybody in"),
    ),
    "a callback token instead of a token": (
        SOURCE + "web: {listen: '0.0.0.0:8321', callback_token: canary}\n",
        (
            "monitor.yaml:8:1: web: listening on 0.0.0.0:8321 needs a token or"
            " token_file; without one, listen on 127.0.0.1"
        ),
    ),
    "listening nowhere": (
        SOURCE + "web: {listen: '8321'}\n",
        (
            "monitor.yaml:8:7: web.listen:"
            " must be host:port, like 127.0.0.1:8321 or [::1]:8321"
        ),
    ),
    "a list that is none": (
        SOURCE + "watch_lists: watchlist.yaml\n",
        "monitor.yaml:8:1: watch_lists: must be a list",
    ),
    "a group that is none": (
        SOURCE + "polling: fast\n",
        "monitor.yaml:8:1: polling: must be a mapping of keys to values",
    ),
    "a kind of sink": (
        SOURCE + "sinks:\n  - {name: a, kind: webhok}\n",
        "monitor.yaml:9:15: sinks.0.kind: must be one of 'log', 'webhook', 'alertmanager', 'broker', 'file', 'exec', 'heartbeat', 'apprise', 'plugin'",
    ),
    "no kind of sink": (
        SOURCE + "sinks:\n  - {name: a}\n",
        "monitor.yaml:9:5: sinks.0: 'kind' is missing",
    ),
    "two sinks of one name": (
        SOURCE + "sinks: [{name: a, kind: log}, {name: a, kind: log}]\n",
        "monitor.yaml:8:1: sinks: 2 sinks are named 'a'",
    ),
    "an address of a sink": (
        SOURCE + "sinks: [{name: a, kind: webhook, url: 'http://x:canary/'}]\n",
        "monitor.yaml:8:34: sinks.0.url: Port could not be cast to integer value as …",
    ),
}


@pytest.mark.parametrize(("text", "line"), TABLE.values(), ids=TABLE)
def test_a_fault_names_its_line_its_key_and_its_reason(
    text: str, line: str, tmp_path: Path
) -> None:
    assert faults(tmp_path, text) == [line]


ENVIRONMENT_TABLE = {
    "an unknown variable names the nearest": (
        {"MONITOR_POLLNG__MIN_INTERVAL": "2s"},
        "MONITOR_POLLNG__MIN_INTERVAL: unknown variable; did you mean MONITOR_POLLING?",
    ),
    "an unknown key": (
        {"MONITOR_POLLING__MIN_INTRVAL": "2s"},
        (
            "MONITOR_POLLING__MIN_INTRVAL: unknown key 'min_intrval';"
            " did you mean 'min_interval'?"
        ),
    ),
    "a bad value": (
        {"MONITOR_SOURCES__PROD__MAX_IN_FLIGHT": "many"},
        "MONITOR_SOURCES__PROD__MAX_IN_FLIGHT: must be a whole number, not 'many'",
    ),
    "broken JSON": (
        {"MONITOR_SINKS": '[{"name": canary'},
        "MONITOR_SINKS: is no valid JSON",
    ),
    "a value inside JSON": (
        {"MONITOR_POLLING": '{"settle": "long"}'},
        (
            "MONITOR_POLLING: settle: 'long' is no duration: write whole numbers with"
            " units, the larger first, like 500ms, 30s, 2h5m or 90d"
        ),
    ),
    "an item inside JSON": (
        {"MONITOR_SINKS": '[{"kind": "log"}]'},
        "MONITOR_SINKS: 0.name: is missing",
    ),
    "half a source": (
        {"MONITOR_SOURCES__TWO__URL": "https://two.example.com"},
        "MONITOR_SOURCES__TWO: api: is missing",
    ),
    "a secret's file that is not there": (
        {
            "MONITOR_SOURCES__PROD__APP_SECRET": "",
            "MONITOR_SOURCES__PROD__APP_SECRET_FILE": "nowhere",
        },
        (
            "MONITOR_SOURCES__PROD__APP_SECRET_FILE:"
            " nowhere: cannot be read: No such file or directory"
        ),
    ),
}


@pytest.mark.parametrize(
    ("environ", "line"), ENVIRONMENT_TABLE.values(), ids=ENVIRONMENT_TABLE
)
def test_a_fault_of_the_environment_names_its_variable(
    environ: dict[str, str], line: str, tmp_path: Path
) -> None:
    assert faults(tmp_path, SOURCE, environ) == [line]


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = SOURCE + "    timeout: 0s\nlocale: fr\nlog: {level: loud, colour: red}\n"

    found = faults(tmp_path, text, {"MONITOR_RETENTION": "1y", "MONITOR_X": "1"})

    assert [line.split(": ")[0] for line in found] == [
        "MONITOR_X",
        "monitor.yaml:8:5",
        "monitor.yaml:9:1",
        "monitor.yaml:10:7",
        "monitor.yaml:10:20",
        "MONITOR_RETENTION",
    ]


def test_a_variable_is_to_blame_for_what_it_replaces_in_the_file(
    tmp_path: Path,
) -> None:
    text = SOURCE + "sinks: [{name: a, kind: log}]\n"

    found = faults(tmp_path, text, {"MONITOR_SINKS": '[{"name": "", "kind": "log"}]'})

    assert [line.split(": ")[:2] for line in found] == [["MONITOR_SINKS", "0.name"]]
