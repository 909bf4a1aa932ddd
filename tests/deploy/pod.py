"""Says how Docker runs the chart's pod: python3 tests/deploy/pod.py FOLDER [PORT].

FOLDER gets `config/`, which is what the pod finds in /etc/dnsgate; `run`, the arguments of `docker run` before the image, one a
line; `arguments`, those after it; `probes`, a path and a port a line; and `stop`, the seconds of preStop and of the grace period.
Everything is taken from the rendered pod, so that what Docker tries is what Kubernetes would be told.
"""

import pathlib
import sys

from chart import only, pod, render


def run_arguments(spec, folder):
    """User, restrictions, sysctls, mounts and ports of the pod, in Docker's words."""
    (container,) = spec["containers"]
    user, limits = spec["securityContext"], container["securityContext"]
    assert user["runAsNonRoot"] and user["runAsUser"] != 0
    yield f"--user={user['runAsUser']}:{user['runAsGroup']}"
    if limits["readOnlyRootFilesystem"]:
        yield "--read-only"
    for capability in limits["capabilities"]["drop"]:
        yield f"--cap-drop={capability}"
    if not limits["allowPrivilegeEscalation"]:
        yield "--security-opt=no-new-privileges"
    # Docker gives port 53 to everybody; Kubernetes does not, unless the pod says so.
    sysctls = {item["name"]: item["value"] for item in user.get("sysctls", [])}
    for name, value in {"net.ipv4.ip_unprivileged_port_start": "1024", **sysctls}.items():
        yield f"--sysctl={name}={value}"
    yield f"--memory={container['resources']['limits']['memory'].replace('Mi', 'm')}"
    for mount in container["volumeMounts"]:
        assert mount["readOnly"]
        yield f"--volume={folder / 'config'}:{mount['mountPath']}:ro"
    for port in container["ports"]:
        yield f"--publish=127.0.0.1::{port['containerPort']}/{port['protocol'].lower()}"


def main():
    """Writes the folder."""
    folder = pathlib.Path(sys.argv[1]).resolve()
    values = {"listen": {"port": int(sys.argv[2])}} if len(sys.argv) > 2 else {}
    documents, _ = render(values)
    spec = pod(documents)
    (container,) = spec["containers"]
    (folder / "config").mkdir(parents=True, exist_ok=True)
    for name, text in only(documents, "ConfigMap")["data"].items():
        (folder / "config" / name).write_text(text)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = [container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")]
    lines = {
        "run": list(run_arguments(spec, folder)),
        "arguments": container["args"],
        "probes": [f"{probe['path']} {ports[probe['port']]}" for probe in probes],
        "stop": [f"{container['lifecycle']['preStop']['sleep']['seconds']} {spec['terminationGracePeriodSeconds']}"],
        "dns": [str(ports["dns-udp"])],
    }
    for name, text in lines.items():
        (folder / name).write_text("".join(f"{line}\n" for line in text))


if __name__ == "__main__":
    main()
