"""The manifests: what they name is there, and a box survives what they ask of it."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgefn.access.needs import Need
from edgefn.config import resolve
from edgefn.gateway.routes import ROUTES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "kuberay"
IMAGES = (ROOT / "deploy" / "container" / "README.md").read_text()
VERSIONS = {
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolumeClaim": "v1",
    "PodDisruptionBudget": "policy/v1",
    "RayCluster": "ray.io/v1",
    "Secret": "v1",
    "Service": "v1",
    "StatefulSet": "apps/v1",
}
ANYONE = {route.path for route in ROUTES if route.need is Need.NOTHING}
Documents = list[dict[str, Any]]


@pytest.fixture(params=["boxes.yaml", "raycluster.yaml", "site.yaml"])
def documents(request: pytest.FixtureRequest) -> Documents:
    """All of a file."""
    return list(yaml.safe_load_all((FOLDER / request.param).read_text()))


def templates(documents: Documents) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Returns the templates of pods, each with the labels that its pods will have."""
    found = []
    for one in documents:
        if one["kind"] == "StatefulSet":
            template, claims = one["spec"]["template"], one["spec"].get("volumeClaimTemplates", [])
            volumes = [*template["spec"]["volumes"], *(claim["metadata"] for claim in claims)]
            found.append((template["metadata"]["labels"], template["spec"] | {"volumes": volumes}))
        elif one["kind"] == "RayCluster":
            ours = {"ray.io/cluster": one["metadata"]["name"]}  # what KubeRay adds
            head, groups = one["spec"]["headGroupSpec"], one["spec"]["workerGroupSpecs"]
            found.append((ours | {"ray.io/node-type": "head"}, head["template"]["spec"]))
            for group in groups:
                found.append((ours | {"ray.io/node-type": "worker"}, group["template"]["spec"]))
    return found


def containers(documents: Documents) -> list[dict[str, Any]]:
    """Returns all containers."""
    return [one for _, pod in templates(documents) for one in pod["containers"]]


def named(documents: Documents, kind: str) -> set[str]:
    """Returns the names of all objects of a kind."""
    return {one["metadata"]["name"] for one in documents if one["kind"] == kind}


def test_kinds_have_their_version_and_a_name(documents: Documents) -> None:
    """As Kubernetes serves them."""
    for one in documents:
        assert VERSIONS[one["kind"]] == one["apiVersion"]
        assert re.fullmatch(r"[a-z][a-z0-9-]*", one["metadata"]["name"])


def test_images_are_those_that_are_built(documents: Documents) -> None:
    """By the commands of the container files."""
    for container in containers(documents):
        assert f"-t {container['image']} ." in IMAGES


def test_references_lead_somewhere(documents: Documents) -> None:
    """Claims, secrets, mounts, ports, and the pods that are selected."""
    for _, pod in templates(documents):
        volumes = {volume["name"] for volume in pod["volumes"]}
        for volume in pod["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in named(documents, "PersistentVolumeClaim")
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            for variable in container.get("env", ()):
                if secret := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert secret["name"] in named(documents, "Secret")
    for one in documents:
        if one["kind"] == "Service":
            (chosen,) = [p for labels, p in templates(documents) if _fits(one, labels)]
            ports = {key for c in chosen["containers"] for p in c["ports"] for key in p.values()}
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports
        elif one["kind"] == "PodDisruptionBudget":
            assert any(_fits(one, labels) for labels, _ in templates(documents))


def _fits(one: dict[str, Any], labels: dict[str, str]) -> bool:
    selector = one["spec"]["selector"]
    return set(selector.get("matchLabels", selector).items()) <= set(labels.items())


def test_a_box_can_live_in_its_pod(documents: Documents) -> None:
    """As nobody, with time to drain, and with a state that is its own and for it alone."""
    for _, pod in templates(documents):
        context = pod["securityContext"]
        assert context["runAsNonRoot"] and context["runAsUser"] == context["fsGroup"] == 10001
        # Otherwise the files of the box are opened to the group at each start, and it refuses.
        assert context["fsGroupChangePolicy"] == "OnRootMismatch"
        assert pod["terminationGracePeriodSeconds"] > 30
        for container in pod["containers"]:
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert {"/var/lib/edgefn", "/tmp"} <= mounts


def test_boxes_are_told_what_they_take(
    documents: Documents, refusal: Callable[[list[str]], str]
) -> None:
    """The arguments of each are those of our own program, and name variables that it has."""
    for container in containers(documents):
        arguments = container.get("args", [])
        assert not refusal([*arguments])
        given = {variable["name"] for variable in container.get("env", ())}
        assert set(re.findall(r"\$\((\w+)\)", " ".join(arguments))) <= given


def test_variables_are_settings_of_ours(documents: Documents) -> None:
    """One that starts with EDGEFN_ and is none would keep the box from starting."""
    for container in containers(documents):
        environ = {one["name"]: one.get("value", "") for one in container.get("env", ())}
        resolve({name: value for name, value in environ.items() if name.startswith("EDGEFN_")})


def test_probes_ask_what_anyone_may(documents: Documents) -> None:
    """Without a key, on the port with TLS."""
    for container in containers(documents):
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe := container.get(kind):
                assert probe["httpGet"]["path"] in ANYONE
                assert probe["httpGet"]["scheme"] == "HTTPS"


def test_the_ray_cluster_is_ours() -> None:
    """The Ray that is pinned, with a token, and reached by its own pods only."""
    documents = list(yaml.safe_load_all((FOLDER / "raycluster.yaml").read_text()))
    (cluster,) = [one for one in documents if one["kind"] == "RayCluster"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pinned,) = project["optional-dependencies"]["ray"]
    assert pinned == f"ray[serve]=={cluster['spec']['rayVersion']}"
    assert cluster["spec"]["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("name", ["boxes.yaml", "raycluster.yaml"])
def test_rays_ports_are_for_its_own_pods(name: str) -> None:
    """Others reach the port with TLS, and nothing else."""
    documents = list(yaml.safe_load_all((FOLDER / name).read_text()))
    (policy,) = [one for one in documents if one["kind"] == "NetworkPolicy"]
    inside, outside = policy["spec"]["ingress"]
    assert inside == {"from": [{"podSelector": policy["spec"]["podSelector"]}]}
    assert outside == {"ports": [{"protocol": "TCP", "port": 8443}]}
