"""The three images as they are built: what is in them, what is not, and that they start."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubedns import __version__
from tests.absent import unavailable
from tests.cluster import images
from tests.manifests.kustomized import MANIFESTS, ROOT
from tests.manifests.test_requirements import pinned

USERS = {"kube-dns": "1001:1001", "sidecar": "1001:1001", "dnsmasq-nanny": "0:0"}
VERSIONS = {
    "kube-dns": f"Kube-DNS {__version__}\n",
    "dnsmasq-nanny": f"dnsmasq-nanny {__version__}\n",
    "sidecar": f"sidecar {__version__}\n",
}
MOST_MIB = 130
# What an attacker would like to find, and what a build leaves behind.
UNWANTED = re.compile(
    r"(^|/)(sh|bash|dash|busybox|perl|curl|wget|apt(-get)?|pip[\d.]*|setuptools|wheel|gcc|cc|"
    r"ld|as|make|su|mount|\.cache|ensurepip)$|^var/(cache|lib/apt)/|^root/|\.whl$"
)


def buildah(*args: str, timeout: float = 900.0) -> str:
    """Run buildah on the images of the tests and return what it prints."""
    done = subprocess.run(
        ["buildah", *images.STORE, *args], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All three; built anew where something has changed since the last time."""
    lacking = [name for name in ("buildah", "podman") if shutil.which(name) is None]
    lacking += [str(file) for file in (images.DEBIAN_TAR,) if not file.exists()]
    if os.geteuid() != 0 or lacking:
        unavailable(f"no images: needs root, {', '.join(lacking) or 'buildah'}")
    settings = images._pip_settings(tmp_path_factory.mktemp("images"))
    images._import_debian()
    for target, name in images.OURS.items():
        images._bud(
            name, ROOT, "--target", target, "--file", str(MANIFESTS / "Dockerfile"),
            "--build-arg", f"BASE={images.DEBIAN}", *settings,
        )  # fmt: skip


@pytest.fixture(scope="session")
def root(built: None) -> Iterator[Path]:
    """The root file system of the image kube-dns."""
    container = buildah("from", images.OURS["kube-dns"]).strip()
    try:
        yield Path(buildah("mount", container).strip())
    finally:
        buildah("rm", container)


def config(target: str) -> dict[str, Any]:
    """Return what the image says of itself, and its layers."""
    found = json.loads(buildah("inspect", "--type", "image", images.OURS[target]))["OCIv1"]
    return {**found["config"], "layers": found["rootfs"]["diff_ids"]}


def inside(target: str, *command: str) -> str:
    """Run a command in a new container of an image, as its user, and return what it prints."""
    container = buildah("from", images.OURS[target]).strip()
    try:
        user = USERS[target]
        return buildah("run", "--isolation", "chroot", "--user", user, container, "--", *command)
    finally:
        buildah("rm", container)


def python(*lines: str) -> str:
    """Run Python as the programs do, in the image kube-dns."""
    return inside("kube-dns", "/usr/bin/python3", "-IBOO", "-c", "\n".join(lines))


def test_all_layers_are_shared(built: None) -> None:
    """A node fetches two layers, once."""
    layers = {target: config(target)["layers"] for target in USERS}
    assert layers["kube-dns"] == layers["dnsmasq-nanny"] == layers["sidecar"]
    assert len(layers["kube-dns"]) == 2


@pytest.mark.parametrize("target", USERS)
def test_user_entry_point_and_signal(target: str, built: None) -> None:
    """What a manifest with args and without command needs."""
    found = config(target)
    assert found["User"] == USERS[target]
    assert found["Entrypoint"] == [f"/{target}"]
    assert found["StopSignal"] == "SIGTERM"
    assert "Cmd" not in found
    assert found["Labels"]["org.opencontainers.image.version"] == __version__
    named = {each.partition("=")[0] for each in found["Env"]}
    assert named == {"PATH", "LANG", "SSL_CERT_FILE"}, "nothing of who built it"


@pytest.mark.parametrize("target", USERS)
def test_it_starts(target: str, built: None) -> None:
    """As its user, with the version of this source."""
    assert inside(target, f"/{target}", "--version") == VERSIONS[target]


def test_no_tool_is_inside(root: Path) -> None:
    """No shell, package manager, compiler, pip, nor a cache of one of them."""
    paths = [str(path.relative_to(root)) for path in root.rglob("*")]
    assert [path for path in paths if UNWANTED.search(path)] == []
    programs = [
        path
        for folder in ("usr/bin", "usr/sbin", "usr/local/bin", "usr/libexec")
        for path in (root / folder).glob("*")
    ]
    assert {path.name for path in programs} == {"python3", "python3.11", "ldconfig"}


def test_it_is_small(root: Path) -> None:
    octets = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file())
    assert octets < MOST_MIB << 20


def test_nothing_gives_or_takes_rights(root: Path) -> None:
    """No setuid program, no file that others may write."""
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH | stat.S_IWGRP), path


def test_every_module_is_compiled(root: Path) -> None:
    """The root is read-only in the pod: what is not compiled here would be at every start."""
    (site,) = root.glob("usr/local/lib/python3.11/*-packages")
    for package in ("kubedns", "dnsmasq_py", "sidecar", "twisted", "aiohttp", "flask"):
        for source in (site / package).rglob("*.py"):
            compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.opt-2.pyc"
            assert compiled.exists(), source


def test_packages_are_the_listed_ones(built: None) -> None:
    """Their metadata is left in, for scanners."""
    found = python(
        "from importlib.metadata import distributions",
        'print(*(f\'{d.name.lower().replace("_", "-").replace(".", "-")}=={d.version}\' '
        "for d in distributions()))",
    )
    assert set(found.split()) == {f"{name}=={version}" for name, version in pinned().items()}


def test_what_is_found_while_running_is_there(built: None) -> None:
    """Authorities for DNS over TLS, inotify for the ConfigMap, threads, a name for the user."""
    assert python(
        "import pwd, ssl, threading",
        "from twisted.internet import inotify",
        "assert len(ssl.create_default_context().get_ca_certs()) > 100",
        "t = threading.Thread(target=int); t.start(); t.join()",
        "import tempfile, sqlite3, lzma, zoneinfo",
        "print(pwd.getpwuid(1001).pw_name)",
    ) == "kube-dns\n"  # fmt: skip


def test_the_authorities_are_those_of_the_list(root: Path) -> None:
    """Of certifi, not of who builds: a company's own authority must not get into an image."""
    (site,) = root.glob("usr/local/lib/python3.11/*-packages")
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    assert bundle.read_bytes() == (site / "certifi/cacert.pem").read_bytes()


def test_a_change_of_our_code_changes_one_layer() -> None:
    """The large layer is made before our packages are copied."""
    lines = (MANIFESTS / "Dockerfile").read_text().splitlines()
    runtime = next(
        n for n, line in enumerate(lines) if line.startswith("RUN") and " runtime " in line
    )
    copied = next(n for n, line in enumerate(lines) if line.startswith("COPY kubedns "))
    assert runtime < copied
