"""The chart, rendered by Helm's own code and held against Kubernetes' own schemas."""

import copy
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import psycopg
import pytest
import yaml

from monitor.core import shards
from monitor.settings.model import Settings
from monitor.store import lease
from tests.support import postgresqls
from tests.support.charts import Chart, needs

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
CHART: Final = DEPLOY / "helm" / "job-monitor"
VALUES: Final = yaml.safe_load((CHART / "values.yaml").read_text())
LEAST: Final = yaml.safe_load((CHART / "ci" / "simulated-values.yaml").read_text())
EVERYTHING: Final = {
    **LEAST,
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "imagePullSecrets": [{"name": "registry"}],
    "persistence": {"storageClassName": "fast", "accessMode": "ReadWriteOncePod"},
    "networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "egress": [{"ports": [{"port": 4222, "protocol": "TCP"}]}],
    },
    "podLabels": {"team": "sre"},
    "podAnnotations": {"note": "mind: this"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
}
STORE: Final = "postgresql://monitor@db.example.com/monitor?sslmode=verify-full"
SHARED: Final[dict[str, Any]] = {
    **LEAST,
    "config": {**LEAST["config"], "store": STORE},
}
MANY: Final = {**EVERYTHING, **SHARED, "replicas": 3}
ALL: Final = (LEAST, EVERYTHING, SHARED, MANY)
VERSIONS: Final = ("1.25.0", "1.37.0")


def laid(over: dict[str, Any], under: dict[str, Any]) -> dict[str, Any]:
    """Lay values over values, as Helm does."""
    merged = copy.deepcopy(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = laid(value, merged[key]) if both else value
    return merged


def pod_of(chart: Chart) -> dict[str, Any]:
    found: dict[str, Any] = chart.of("StatefulSet")["spec"]["template"]
    return found


def env(container: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in container.get("env", ()):
        yield each["name"], each["value"]


def moved(text: str, here: Mapping[str, Path]) -> str:
    """Lay paths of the pod below those of this machine."""
    for there, directory in here.items():
        text = text.replace(there, str(directory))
    return text


def with_store(url: str) -> dict[str, Any]:
    return laid({"config": {"store": url}}, LEAST)


def schema() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return read


@pytest.mark.parametrize("values", ALL)
def test_helm_lints_what_can_be_installed(values: dict[str, Any]) -> None:
    assert Chart(CHART, values).errors == []


def test_without_a_source_nothing_is_installed() -> None:
    [error, *_] = Chart(CHART, {}).errors

    assert "/config/sources" in error


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", ALL)
def test_what_is_rendered_is_what_kubernetes_knows(
    version: str, values: dict[str, Any]
) -> None:
    needs("kubernetes_validate", "kubernetes-validate")
    kubernetes = importlib.import_module("kubernetes_validate")

    for each in Chart(CHART, values).objects:
        if each["kind"] != "ServiceMonitor":  # the operator's own
            kubernetes.validate(each, version, strict=True)


def test_one_pod_keeps_one_store() -> None:
    stateful = Chart(CHART, LEAST).of("StatefulSet")["spec"]
    [container] = stateful["template"]["spec"]["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}

    assert stateful["replicas"] == 1
    assert mounts["store"] == "/var/lib/job-monitor"
    assert [
        claim["metadata"]["name"] for claim in stateful["volumeClaimTemplates"]
    ] == ["store"]


def test_several_pods_share_one_database_and_have_no_volume() -> None:
    chart = Chart(CHART, MANY)
    stateful = chart.of("StatefulSet")["spec"]
    pod = stateful["template"]["spec"]

    assert (stateful["replicas"], stateful["podManagementPolicy"]) == (3, "Parallel")
    assert "volumeClaimTemplates" not in stateful
    assert "store" not in {volume["name"] for volume in pod["volumes"]}
    assert {name: value for each in pod["containers"] for name, value in env(each)} == {
        "MONITOR_STORE": STORE,
        "PGPASSFILE": "/run/pgpass/pgpass",
        "RUNTIME_DIRECTORY": "/tmp",  # noqa: S108
    }


@pytest.mark.parametrize(("values", "pods"), [(LEAST, 1), (SHARED, 2)])
def test_who_does_not_say_how_many_has_enough(
    values: dict[str, Any], pods: int
) -> None:
    assert Chart(CHART, values).of("StatefulSet")["spec"]["replicas"] == pods


def test_a_file_of_sqlite_is_not_shared_and_the_refusal_says_what_to_do() -> None:
    refused = Chart(CHART, {**LEAST, "replicas": 2}).refused

    assert "2 pods need a database to share: config.store: postgresql://" in refused


def test_what_the_image_says_of_the_store_does_not_win() -> None:
    image = (DEPLOY / "docker" / "Dockerfile").read_text()
    [container] = pod_of(Chart(CHART, SHARED))["spec"]["containers"]

    assert "MONITOR_STORE=" in image
    assert dict(env(container))["MONITOR_STORE"] == STORE


def test_pods_are_replaced_one_by_one_each_once_the_last_one_has_its_share() -> None:
    chart = Chart(CHART, MANY)
    stateful = chart.of("StatefulSet")["spec"]
    # The worst case: a second pod takes half of everything from the first.
    moved = shards.SETTLED + shards.SHARDS / 2 / shards.AT_ONCE * lease.RENEW

    assert stateful["minReadySeconds"] > moved
    assert "updateStrategy" not in stateful  # RollingUpdate, one at a time
    assert chart.of("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_a_pod_has_the_time_to_leave_in_order() -> None:
    pod = pod_of(Chart(CHART, SHARED))["spec"]
    [container] = pod["containers"]
    program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    grace = Settings.model_fields["shutdown_grace"].default.total_seconds()

    assert program == "sleep"
    assert pod["terminationGracePeriodSeconds"] > float(seconds) + grace
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_pods_are_spread_over_zones_and_nodes_unless_somebody_knows_better() -> None:
    def spread(values: dict[str, Any]) -> Any:
        return pod_of(Chart(CHART, values))["spec"].get("topologySpreadConstraints")

    ours = [
        {
            "topologyKey": "rack",
            "maxSkew": 1,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"a": "b"}},
        }
    ]

    assert [each["topologyKey"] for each in spread(SHARED)] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert {each["whenUnsatisfiable"] for each in spread(SHARED)} == {"ScheduleAnyway"}
    assert spread({**SHARED, "topologySpreadConstraints": ours}) == ours
    assert not spread({**SHARED, "topologySpreadConstraints": []})
    assert spread(LEAST) is None


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("postgresql://monitor@db/monitor", [5432]),
        ("postgresql://monitor@db:6432/monitor?sslmode=require", [6432]),
        ("postgresql://db/monitor", [5432]),
        ("postgresql://monitor@[2001:db8::15]/monitor", [5432]),
        ("postgresql://monitor@[2001:db8::15]:6432/monitor", [6432]),
        ("postgresql://monitor@/monitor?host=a:5433&host=b:5434", [5433, 5434]),
        ("postgresql://monitor@db/monitor?connect_timeout=3&port=5433", [5433]),
    ],
)
def test_the_network_lets_out_what_goes_to_the_database(
    url: str, ports: list[int]
) -> None:
    def let_out(values: dict[str, Any]) -> set[int]:
        rules = Chart(CHART, values).of("NetworkPolicy")["spec"]["egress"]
        return {port["port"] for rule in rules for port in rule["ports"]}

    assert let_out(with_store(url)) - let_out(LEAST) == {*ports}


@pytest.mark.parametrize("mode", [0o440, 0o640])
def test_libpq_takes_the_password_that_the_pod_lays_ready(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    [before] = pod_of(Chart(CHART, SHARED))["spec"]["initContainers"]
    here = {
        "/run/secrets/job-monitor": tmp_path / "secrets",
        "/run/pgpass": tmp_path / "laid",
    }
    for directory in here.values():
        directory.mkdir()
    given = tmp_path / "secrets" / "pgpass"
    given.write_text(f"*:*:*:*:{postgresqls.PASSWORD}\n")
    given.chmod(mode)  # as the kubelet leaves it to the group of the pod
    command = [moved(each, here) for each in before["command"]]

    with postgresqls.served() as server:
        without = server.url().replace(f":{postgresqls.PASSWORD}@", "@")
        monkeypatch.setenv("PGPASSFILE", str(given))
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(without)
        subprocess.run(command, check=True)
        monkeypatch.setenv("PGPASSFILE", command[-1])
        psycopg.connect(without).close()


def test_the_notes_name_what_is_there() -> None:
    alone, shared = (Chart(CHART, values).notes for values in (LEAST, MANY))

    assert "statefulset/demo-job-monitor -- job-monitor alerts" in alone
    assert "statefulset/demo-job-monitor -- job-monitor store status" in shared
    assert "as 3 pods" in shared
    assert "pgpass" not in alone


@pytest.mark.parametrize("values", [LEAST, SHARED])
def test_the_pod_is_as_restricted_as_pods_can_be(values: dict[str, Any]) -> None:
    pod = pod_of(Chart(CHART, values))["spec"]

    # Source: Kubernetes' Pod Security Standards, profile "restricted", read 2026-11.
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert pod["automountServiceAccountToken"] is False
    assert {next(iter(each.keys() - {"name"})) for each in pod["volumes"]} == {
        *("configMap", "secret", "emptyDir"),
    }


def test_the_image_and_the_pod_agree() -> None:
    pod = Chart(CHART, LEAST).of("StatefulSet")["spec"]["template"]["spec"]
    image = (DEPLOY / "docker" / "Dockerfile").read_text()
    [container] = pod["containers"]

    user, group = (pod["securityContext"][key] for key in ("runAsUser", "runAsGroup"))
    assert f"USER {user}:{group}\n" in image
    assert f"EXPOSE {container['ports'][0]['containerPort']}\n" in image
    assert {each["mountPath"] for each in container["volumeMounts"]} >= {
        *("/etc/job-monitor", "/var/lib/job-monitor", "/tmp"),  # noqa: S108
    }


def test_it_is_asked_whether_it_lives_and_whether_it_is_ready() -> None:
    pod = Chart(CHART, LEAST).of("StatefulSet")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    probes = {
        kind: container[f"{kind}Probe"]["httpGet"]["path"]
        for kind in ("startup", "liveness", "readiness")
    }

    assert probes == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}


@pytest.mark.parametrize("values", [EVERYTHING, MANY])
def test_all_parts_find_the_pods(values: dict[str, Any]) -> None:
    chart = Chart(CHART, values)
    pod = pod_of(chart)["metadata"]["labels"]
    service = chart.of("Service")
    selectors = [
        chart.of("StatefulSet")["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        chart.of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        chart.of("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    scraped = chart.of("ServiceMonitor")["spec"]

    assert [each for each in selectors if not each.items() <= pod.items()] == []
    wanted = scraped["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][scraped["jobLabel"]] == "job-monitor"
    spread = pod_of(chart)["spec"].get("topologySpreadConstraints", [])
    for each in spread:
        assert each["labelSelector"]["matchLabels"].items() <= pod.items()


def test_another_configuration_is_another_pod_and_another_list_is_not() -> None:
    def checksum(values: dict[str, Any]) -> str:
        pod = Chart(CHART, values).of("StatefulSet")["spec"]["template"]
        return str(pod["metadata"]["annotations"]["checksum/config"])

    first = checksum(LEAST)

    assert checksum(laid({"watchLists": {"b.txt": "2/1"}}, LEAST)) == first
    assert checksum(laid({"config": {"locale": "zh-CN"}}, LEAST)) != first


@pytest.mark.parametrize("values", [LEAST, SHARED])
def test_the_configuration_that_is_rendered_is_one_that_is_taken(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    maps = [m for m in Chart(CHART, values).objects if m["kind"] == "ConfigMap"]
    here = {
        "/run/secrets/job-monitor": tmp_path / "secrets",
        "/etc/job-monitor-lists": tmp_path / "lists",
    }
    for directory in here.values():
        directory.mkdir()
    for name in ("web_token", "app_secret"):
        (tmp_path / "secrets" / name).write_text("x")
    for name, text in {k: v for m in maps for k, v in m["data"].items()}.items():
        place = tmp_path if name == "monitor.yaml" else tmp_path / "lists"
        (place / name).write_text(moved(text, here))

    command = [sys.executable, "-m", "monitor", "check"]
    done = subprocess.run(
        [*command, "--config", str(tmp_path / "monitor.yaml")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr


def test_the_least_that_can_be_installed_fits_the_schema() -> None:
    jsonschema.validate(laid(LEAST, VALUES), schema())


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": 0},
        {"replicas": 65},
        {"secretName": ""},
        {"config": {"store": "sqlite:///elsewhere.db"}},
        {"config": {"store": "postgresql://monitor:in%20the%20open@db/monitor"}},
        {"config": {"store": "postgresql://monitor@db/monitor?password=open"}},
        {"config": {"store": "postgresql://monitor@db/monitor?sslpassword=open"}},
        {"config": {"store": ""}},
        {"config": {"sources": {"prod": {"app_secret": "in the open"}}}},
        {"config": {"web": {"listen": "127.0.0.1:8321"}}},
        {"watchLists": {"../x.txt": "2/1"}},
        {"podDisruptionBudget": {"maxUnavailable": 2}},
    ],
    ids=str,
)
def test_values_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(laid(wrong, laid(LEAST, VALUES)), schema())


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    package = (DEPLOY.parent / "pyproject.toml").read_text()

    assert f'\nversion = "{chart["appVersion"]}"\n' in package
