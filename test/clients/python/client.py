"""The Python client against a server: typed calls, watches, the dynamic client, custom resources.

Prints a line of JSON a check: {"check": ..., "error": ...}.
"""

import json
import sys
import threading
import time

import yaml
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

NAMESPACE = "python"


def refused(code, call):
    try:
        call()
    except ApiException as error:
        assert error.status == code, f"{error.status} instead of {code}: {error.body}"
        return json.loads(error.body)
    raise AssertionError(f"not refused with {code}")


def eventually(what, done):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if done():
            return
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"by": "python"}), data=data)


def crud():
    core = client.CoreV1Api()
    made = core.create_namespaced_config_map(NAMESPACE, config_map("a", n="1"))
    assert made.metadata.creation_timestamp is not None
    made.data = {"n": "2"}
    assert core.replace_namespaced_config_map("a", NAMESPACE, made).data == {"n": "2"}
    refused(409, lambda: core.replace_namespaced_config_map("a", NAMESPACE, made))
    status = refused(422, lambda: core.create_namespaced_config_map(NAMESPACE, config_map("A_")))
    assert status["details"]["causes"][0]["field"] == "metadata.name", status
    assert core.patch_namespaced_config_map("a", NAMESPACE, {"data": {"m": "3"}}).data == {"n": "2", "m": "3"}
    assert [m.metadata.name for m in core.list_namespaced_config_map(NAMESPACE, label_selector="by=python").items] == ["a"]
    core.delete_namespaced_config_map("a", NAMESPACE)
    refused(404, lambda: core.read_namespaced_config_map("a", NAMESPACE))


def pages():
    core = client.CoreV1Api()
    for i in range(7):
        core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{i}"))
    seen, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, limit=3, _continue=token, label_selector="by=python")
        seen += [m.metadata.name for m in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert seen == [f"page-{i}" for i in range(7)], seen
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="by=python")


def watches():
    core = client.CoreV1Api()
    version = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version

    def write():
        core.create_namespaced_config_map(NAMESPACE, config_map("w", n="1"))
        core.patch_namespaced_config_map("w", NAMESPACE, {"data": {"n": "2"}})
        core.delete_namespaced_config_map("w", NAMESPACE)

    threading.Timer(0.3, write).start()
    told = []
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, resource_version=version, timeout_seconds=15):
        told.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watcher.stop()
    assert told == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")], told
    old = watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="1", timeout_seconds=2)
    refused_watch = None
    try:
        list(old)
    except ApiException as error:
        refused_watch = error.status
    assert refused_watch in (410, None), refused_watch


def workloads():
    apps, core = client.AppsV1Api(), client.CoreV1Api()
    text = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example/web:1"}]}
"""
    utils.create_from_dict(client.ApiClient(), yaml.safe_load(text), namespace=NAMESPACE)
    eventually("ready", lambda: apps.read_namespaced_deployment("web", NAMESPACE).status.ready_replicas == 1)
    assert apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 2}}).spec.replicas == 2
    eventually("scaled", lambda: apps.read_namespaced_deployment("web", NAMESPACE).status.ready_replicas == 2)
    pod = core.list_namespaced_pod(NAMESPACE, label_selector="app=web").items[0].metadata.name
    out = stream(
        core.connect_get_namespaced_pod_exec, pod, NAMESPACE, command=["echo", "hello"],
        stdout=True, stderr=True, stdin=False, tty=False,
    )
    assert "echo hello" in out, out
    core.read_namespaced_pod_log(pod, NAMESPACE, tail_lines=1)
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod, namespace=NAMESPACE))
    core.create_namespaced_pod_eviction(pod, NAMESPACE, eviction)
    apps.delete_namespaced_deployment("web", NAMESPACE, propagation_policy="Foreground")
    eventually("collected", lambda: not core.list_namespaced_pod(NAMESPACE, label_selector="app=web").items)


def dynamics():
    api = dynamic.DynamicClient(client.ApiClient())
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "snakes.python.example.com"},
        "spec": {
            "group": "python.example.com",
            "scope": "Namespaced",
            "names": {"plural": "snakes", "singular": "snake", "kind": "Snake", "listKind": "SnakeList"},
            "versions": [{
                "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"length": {"type": "integer", "default": 3}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                }}},
            }],
        },
    }
    definitions = api.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    definitions.create(body=definition)

    def served():
        found = definitions.get(name="snakes.python.example.com").to_dict()
        return any(c["type"] == "Established" and c["status"] == "True" for c in found["status"]["conditions"] or [])

    eventually("established", served)
    snakes = api.resources.get(api_version="python.example.com/v1", kind="Snake")
    body = {"apiVersion": "python.example.com/v1", "kind": "Snake", "metadata": {"name": "adder"}, "spec": {}}
    assert snakes.create(body=body, namespace=NAMESPACE).spec.length == 3
    changed = snakes.patch(body={"spec": {"length": 5}}, name="adder", namespace=NAMESPACE, content_type="application/merge-patch+json")
    assert changed.spec.length == 5 and changed.metadata.generation == 2
    applied = snakes.server_side_apply(
        body={**body, "spec": {"length": 7}}, name="adder", namespace=NAMESPACE, field_manager="python", force_conflicts=True
    )
    assert applied.spec.length == 7
    told = []
    for event in snakes.watch(namespace=NAMESPACE, timeout=1):
        told.append((event["type"], event["object"].metadata.name))
    assert told == [("ADDED", "adder")], told
    assert client.CustomObjectsApi().get_namespaced_custom_object("python.example.com", "v1", NAMESPACE, "snakes", "adder")["spec"]["length"] == 7
    snakes.delete(name="adder", namespace=NAMESPACE)
    definitions.delete(name="snakes.python.example.com")


def documents():
    assert client.VersionApi().get_code().minor == "36"
    groups = [group.name for group in client.ApisApi().get_api_versions().groups]
    assert "apps" in groups and "rbac.authorization.k8s.io" in groups, groups
    may = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(
        resource_attributes=client.V1ResourceAttributes(verb="create", resource="pods", namespace=NAMESPACE)))
    assert client.AuthorizationV1Api().create_self_subject_access_review(may).status.allowed


CHECKS = (crud, pages, watches, workloads, dynamics, documents)


def main():
    config.load_kube_config()
    core = client.CoreV1Api()
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    accounts = core.list_namespaced_service_account
    eventually("the default account", lambda: accounts(NAMESPACE, field_selector="metadata.name=default").items)
    for check in CHECKS:
        line = {"check": check.__name__}
        try:
            check()
        except Exception as error:  # whatever it is, the other checks go on
            line["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
