"""
The images of the cluster tests: ours from manifests/Dockerfile, and those that pods of tests run.

No registry of images is asked: all are built on the Debian that tests/setup-tools.sh made.  Podman
and buildah keep them, and the layers of earlier builds, below the cache folder of the tests.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from tests.realapi.controlplane import CACHE

ROOT = Path(__file__).parents[2]
DEBIAN_TAR = CACHE.parent / "images" / "debian.tar"
DEBIAN = "localhost/kube-dns-py/debian:bookworm"
"""What client pods run: Python, dig, ip, ps, dnsmasq."""

PAUSE = "registry.k8s.io/pause:3.10"
TARGETS = ("kube-dns", "dnsmasq-nanny", "sidecar")
OURS = {target: f"localhost/kube-dns-py/{target}:test" for target in TARGETS}
"""Targets of the Dockerfile, and the images they become; not ":latest", which is always pulled."""

FOREIGN = {
    "dnsmasq": "localhost/kube-dns-py/real-dnsmasq:test",
    "coredns": "localhost/kube-dns-py/real-coredns:test",
}

COREFILE = """
.:10053 {
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf
    ready :8081
}
"""

STORE = ("--root", str(CACHE.parent / "containers"), "--runroot", "/run/kube-dns-py-containers")
BUILD_S = 900.0
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def build_images(folder: Path) -> Path:
    """
    Build all images and return an archive of them; `folder` takes it and what is between.

    Raises:
        subprocess.CalledProcessError: a build failed; what it said is on standard error.
    """
    _import_debian()
    for target, name in OURS.items():
        _bud(
            name,
            ROOT,
            "--target", target, "--file", str(ROOT / "manifests" / "Dockerfile"),
            "--build-arg", f"BASE={DEBIAN}", *_pip_settings(folder),
        )  # fmt: skip
    _foreign(folder)
    _pause(folder)
    archive = folder / "images.tar"
    names = [DEBIAN, PAUSE, *OURS.values(), *FOREIGN.values()]
    _run("podman", *STORE, "save", "--quiet", "--multi-image-archive", "-o", str(archive), *names)
    # Layers that no build of the last days has used.
    _run("podman", *STORE, "image", "prune", "--force", "--filter", "until=48h")
    return archive


def _import_debian() -> None:
    """Import the Debian, unless this very one is there."""
    made = f"{DEBIAN_TAR.stat().st_mtime_ns}-{DEBIAN_TAR.stat().st_size}"
    mark = f"{DEBIAN.partition(':')[0]}:{hashlib.sha256(made.encode()).hexdigest()[:12]}"
    there = subprocess.run(["podman", *STORE, "image", "exists", mark], check=False)
    if there.returncode:
        _run("podman", *STORE, "import", "--quiet", str(DEBIAN_TAR), mark)
    _run("podman", *STORE, "tag", mark, DEBIAN)


def _bud(name: str, context: Path, *flags: str) -> None:
    """Build an image; its layers are kept for the next time."""
    _run("buildah", *STORE, "bud", "--quiet", "--isolation", "chroot", "--layers", "--tag", name,
         *flags, str(context))  # fmt: skip


def _pip_settings(folder: Path) -> list[str]:
    """Return flags by which pip has the settings of this machine; none stays in the image."""
    flags: list[str] = []
    settings = Path("/etc/pip.conf")
    lines = [
        f"{key.removeprefix('PIP_').lower().replace('_', '-')} = {value}"
        for key, value in sorted(os.environ.items())
        if key.startswith("PIP_") and key != "PIP_CONFIG_FILE"
    ]
    if lines:  # they win over the file, so they take its place
        settings = folder / "pip.conf"
        settings.write_text("\n".join(["[global]", *lines, ""]))
    if settings.exists():
        flags += ["--volume", f"{settings}:/etc/pip.conf:ro"]
    wheels = Path(os.environ.get("PIP_FIND_LINKS", ""))
    for path in (AUTHORITIES, wheels):
        if path.is_absolute() and path.exists():
            flags += ["--volume", f"{path}:{path}:ro"]
    return flags


def _foreign(folder: Path) -> None:
    """Build images of programs of others, which take the place of one of ours."""
    context = folder / "foreign"
    context.mkdir()
    dnsmasq = context / "dnsmasq.sh"
    # The arguments of dnsmasq-nanny: its own ones, "--", those of dnsmasq.
    dnsmasq.write_text(
        '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec dnsmasq --user=root "$@"\n'
    )
    dnsmasq.chmod(0o755)
    (context / "coredns").write_bytes((CACHE / "coredns").read_bytes())
    (context / "coredns").chmod(0o755)
    (context / "Corefile").write_text(COREFILE)
    start = {"dnsmasq": "/dnsmasq.sh", "coredns": "/coredns"}
    for name, program in start.items():
        file = context / f"Dockerfile.{name}"
        file.write_text(f'FROM {DEBIAN}\nCOPY {program[1:]} Corefile /\nENTRYPOINT ["{program}"]\n')
        _bud(FOREIGN[name], context, "--file", str(file))


def _pause(folder: Path) -> None:
    """Build what holds the namespaces of a pod: a program that does nothing."""
    context = folder / "pause"
    context.mkdir()
    _run("gcc", "-static", "-Os", "-s", "-o", str(context / "pause"),
         str(Path(__file__).with_name("pause.c")))  # fmt: skip
    file = context / "Dockerfile"
    file.write_text('FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n')
    _bud(PAUSE, context, "--file", str(file))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=BUILD_S)
