"""deploy/compose.yaml and deploy/kubernetes: valid by their schemas, and in step with the program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flows import security, supervise
from flows.playbooks import retail
from operators import playbook
from tests.deploy.files import DEPLOY, ROOT, accepts, load, overlay, schema

KUBERNETES = schema("kubernetes-1.37")


def check_kind(manifest: Any) -> None:
    """By the strict schema of its kind: unknown fields are mistakes."""
    name = KUBERNETES["kinds"][f"{manifest['apiVersion']}/{manifest['kind']}"]
    wanted = {"$ref": f"#/$defs/{name}", "$defs": KUBERNETES["$defs"]}
    wrong = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(wanted).iter_errors(manifest)
    ]
    assert wrong == []


def manifests() -> Iterator[Path]:
    for file in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        if file.name != "kustomization.yaml":
            yield file


@pytest.mark.parametrize("file", list(manifests()), ids=lambda file: file.stem)
def test_each_manifest_is_as_kubernetes_wants_it(file: Path) -> None:
    manifest = load(file)
    check_kind(manifest)


@pytest.mark.parametrize("name", ["one", "three"])
def test_each_overlay_is_as_kubernetes_wants_it(name: str) -> None:
    built = overlay(name)
    for manifest in built.values():
        check_kind(manifest)
    oncue = built["StatefulSet", "oncue"]["spec"]
    pod = oncue["template"]["spec"]
    container = pod["containers"][0]
    accepts(container["args"])
    assert ("Service", oncue["serviceName"]) in built
    assert oncue["selector"]["matchLabels"].items() <= oncue["template"]["metadata"]["labels"].items()
    there = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == there
    named = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
    made_by_hand = {"oncue-playbook"}
    assert {("ConfigMap", it) for it in named - made_by_hand} <= built.keys()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    given = {it["name"]: it.get("value") for it in container["env"]}
    assert int(given["OTEL_EXPORTER_PROMETHEUS_PORT"]) == ports["telemetry"]
    opened = {port["port"] for port in built["Service", "oncue"]["spec"]["ports"]}
    assert opened == set(ports.values())
    allowed = {
        port["port"] for rule in built["NetworkPolicy", "oncue"]["spec"]["ingress"] for port in rule["ports"]
    }
    assert allowed == opened


@pytest.mark.parametrize("name", ["one", "three"])
def test_a_pod_that_backs_up_is_told_where_and_may_go_there(name: str) -> None:
    built = overlay(name, "backup")
    for manifest in built.values():
        check_kind(manifest)
    container = built["StatefulSet", "oncue"]["spec"]["template"]["spec"]["containers"][0]
    accepts(container["args"])
    assert {"--backup-every=5m", "--backup-keep=288"} <= set(container["args"])
    (where,) = (it for it in container["env"] if it["name"] == "ONCUE_BACKUP")
    assert where["valueFrom"]["secretKeyRef"] == {"name": "oncue-backup", "key": "url"}
    (rule,) = built["NetworkPolicy", "oncue-backup"]["spec"]["egress"]
    assert [port["port"] for port in rule["ports"]] == [443]


@pytest.mark.parametrize("name", ["one", "three"])
def test_the_learner_is_connected_and_watched_as_the_workers_are_and_is_none(name: str) -> None:
    """What looks for the pods of a scope does not find it; a disruption budget without a selector protects
    nobody."""
    built = overlay(name, "learner")
    for manifest in built.values():
        check_kind(manifest)
    oncue, other = (built[it]["spec"] for it in (("StatefulSet", "oncue"), ("Deployment", "oncue-learner")))
    (worker,), (learner,) = (it["template"]["spec"]["containers"] for it in (oncue, other))
    accepts(learner["args"])
    for same in ("image", "env", "startupProbe", "livenessProbe", "readinessProbe", "volumeMounts"):
        assert learner[same] == worker[same], same
    for selector in (
        oncue["selector"]["matchLabels"],
        built["Service", "oncue"]["spec"]["selector"],
        built["PodDisruptionBudget", "oncue"]["spec"]["selector"]["matchLabels"],
        *(
            it["labelSelector"]["matchLabels"]
            for it in oncue["template"]["spec"].get("topologySpreadConstraints", [])
        ),
    ):
        assert selector.items() <= oncue["template"]["metadata"]["labels"].items()
        assert not selector.items() <= other["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("name", ["one", "three"])
def test_a_pod_asks_for_what_its_workers_need_and_gets_the_time_to_stop(name: str) -> None:
    """docs/sizing.md: for each worker a core, half a core for snapshots, 1.5 GB and a limit of twice that."""
    pod = overlay(name)["StatefulSet", "oncue"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    workers = max([1, *(int(it.split("=")[1]) for it in container["args"] if it.startswith("--workers="))])
    given = container["resources"]
    assert _quantity(given["requests"]["cpu"]) >= 1.5 * workers
    assert _quantity(given["requests"]["memory"]) >= 1.5e9 * workers
    assert _quantity(given["limits"]["memory"]) >= 3e9 * workers
    assert "cpu" not in given["limits"]
    epoch = playbook.load(retail()).times.epoch / 1000
    assert pod["terminationGracePeriodSeconds"] > supervise.PATIENCE + epoch


def _quantity(text: str) -> float:
    """As Kubernetes writes it: 1500m, 2, 3Gi."""
    units = {"m": 1e-3, "Mi": 2.0**20, "Gi": 2.0**30}
    unit = next((it for it in units if text.endswith(it)), "")
    return float(text.removesuffix(unit)) * units.get(unit, 1.0)


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
@pytest.mark.parametrize("name", ["one", "three"])
def test_a_pod_may_do_no_more_than_it_needs(name: str, kind: str) -> None:
    pod = {it["kind"]: it for it in overlay(name, "learner").values()}[kind]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        may = container["securityContext"]
        assert may == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        secret = [it["name"] for it in container["env"] if "PASSWORD" in it["name"]]
        assert secret == ["ONCUE_KAFKA_SASL_PASSWORD_FILE"]  # a file, never a variable


@pytest.mark.parametrize("component", ["backup", "learner"])
def test_a_component_is_made_where_the_rest_is(component: str) -> None:
    for (kind, name), manifest in overlay("one", component).items():
        assert kind == "Namespace" or manifest["metadata"]["namespace"] == "oncue", (kind, name)


def test_three_pods_know_each_other() -> None:
    built = overlay("three")
    oncue = built["StatefulSet", "oncue"]["spec"]
    container = oncue["template"]["spec"]["containers"][0]
    peers = next(it for it in container["args"] if it.startswith("--peers=")).removeprefix("--peers=")
    port = next(it["containerPort"] for it in container["ports"] if it["name"] == "peers")
    assert peers.split(",") == [f"oncue-{i}.{oncue['serviceName']}:{port}" for i in range(oncue["replicas"])]
    assert built["PersistentVolumeClaim", "oncue-state"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert built["Service", "oncue"]["spec"]["publishNotReadyAddresses"] is True


def test_the_connection_that_comes_with_the_manifests_is_a_valid_one(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    text = (DEPLOY / "kubernetes" / "base" / "kafka.properties").read_text()
    file.write_text(text.replace("/etc/oncue/secret", str(tmp_path)))
    for name in ("ca.crt", "username", "password"):
        (tmp_path / name).write_text("x")
    found, wrong = security.settings(
        {
            "ONCUE_KAFKA_CONFIG": str(file),
            "ONCUE_KAFKA_SASL_USERNAME_FILE": str(tmp_path / "username"),
            "ONCUE_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    assert wrong == []
    assert found["security.protocol"] == "sasl_ssl"


def test_the_compose_file_is_as_its_specification_wants_it() -> None:
    wrong = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(schema("compose-spec")).iter_errors(load(DEPLOY / "compose.yaml"))
    ]
    assert wrong == []


def test_the_compose_file_runs_commands_and_mounts_files_that_are_there() -> None:
    found = load(DEPLOY / "compose.yaml")
    for name in ("topics", "oncue", "learner"):
        accepts([_plain(word) for word in found["services"][name]["command"]])
    for service in found["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).resolve().is_relative_to(ROOT)
                assert (DEPLOY / source).exists(), source
            else:
                assert source in found["volumes"]
        for name in service.get("depends_on", {}):
            assert name in found["services"]
    for port in (port for service in found["services"].values() for port in service.get("ports", [])):
        assert port.startswith("127.0.0.1:"), f"{port} is open to everybody"


def _plain(word: str) -> str:
    """A word with the defaults of its variables: ${NAME:-default}."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word)
