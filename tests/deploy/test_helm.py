"""The chart, rendered by Helm's own code and held against Kubernetes' own schemas."""

import copy
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

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
VERSIONS: Final = ("1.25.0", "1.37.0")


def laid(over: dict[str, Any], under: dict[str, Any]) -> dict[str, Any]:
    """Lay values over values, as Helm does."""
    merged = copy.deepcopy(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = laid(value, merged[key]) if both else value
    return merged


def schema() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return read


@pytest.mark.parametrize("values", [LEAST, EVERYTHING])
def test_helm_lints_what_can_be_installed(values: dict[str, Any]) -> None:
    assert Chart(CHART, values).errors == []


def test_without_a_source_nothing_is_installed() -> None:
    [error, *_] = Chart(CHART, {}).errors

    assert "/config/sources" in error


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", [LEAST, EVERYTHING])
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


def test_the_pod_is_as_restricted_as_pods_can_be() -> None:
    pod = Chart(CHART, LEAST).of("StatefulSet")["spec"]["template"]["spec"]
    [container] = pod["containers"]

    # Source: Kubernetes' Pod Security Standards, profile "restricted", read 2026-11.
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
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


def test_all_parts_find_the_pod() -> None:
    chart = Chart(CHART, EVERYTHING)
    pod = chart.of("StatefulSet")["spec"]["template"]["metadata"]["labels"]
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


def test_another_configuration_is_another_pod_and_another_list_is_not() -> None:
    def checksum(values: dict[str, Any]) -> str:
        pod = Chart(CHART, values).of("StatefulSet")["spec"]["template"]
        return str(pod["metadata"]["annotations"]["checksum/config"])

    first = checksum(LEAST)

    assert checksum(laid({"watchLists": {"b.txt": "2/1"}}, LEAST)) == first
    assert checksum(laid({"config": {"locale": "zh-CN"}}, LEAST)) != first


def test_the_configuration_that_is_rendered_is_one_that_is_taken(
    tmp_path: Path,
) -> None:
    maps = [m for m in Chart(CHART, LEAST).objects if m["kind"] == "ConfigMap"]
    here = {
        "/run/secrets/job-monitor": tmp_path / "secrets",
        "/etc/job-monitor-lists": tmp_path / "lists",
    }
    for directory in here.values():
        directory.mkdir()
    for name in ("web_token", "app_secret"):
        (tmp_path / "secrets" / name).write_text("x")
    for name, text in {k: v for m in maps for k, v in m["data"].items()}.items():
        moved = text
        for there, directory in here.items():
            moved = moved.replace(there, str(directory))
        place = tmp_path if name == "monitor.yaml" else tmp_path / "lists"
        (place / name).write_text(moved)

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
        {"replicas": 2},
        {"secretName": ""},
        {"config": {"store": "sqlite:///elsewhere.db"}},
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
