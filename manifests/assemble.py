"""
Build step of the image, see Dockerfile: fills a folder that becomes the root of the image.

assemble.py runtime PACKAGES ROOT   Python, the installed packages, and the libraries they need
assemble.py native SOURCE TARGET    the native piece, into another folder, if there is a compiler
assemble.py programs SOURCE ROOT    our packages and /kube-dns, /dnsmasq-nanny, /sidecar

Nothing else gets in: no shell, no package manager, no compiler, no pip. What Python needs is found
by asking the loader (ldd) about every library, so any image with glibc and Python 3.11 is a base.
"""

import compileall
import os
import py_compile
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

STDLIB = Path(sysconfig.get_path("stdlib"))
SITE = Path(site.getsitepackages()[0])
PYTHON = Path(sys.executable).resolve()
PROGRAMS = {"kube-dns": "kubedns", "dnsmasq-nanny": "dnsmasq_py", "sidecar": "sidecar"}
USER = 1001

# Of the standard library, what no server needs.
UNUSED = {
    "__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter",
    "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "venv",
}  # fmt: skip
# The client's models and calls are 120 MB that kubedns/cluster/apiserver.py goes around.
UNUSED_PACKAGES = {
    f"kubernetes/{client}/{part}"
    for client in ("client", "aio/client")
    for part in ("api", "models")
}
# Opened by name while running, where the loader's list does not show it: threads end with its help.
LATE_LIBRARIES = ("libgcc_s.so.1",)
FILES = (
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/sbin/ldconfig",  # ctypes asks it where the C library is, of which Twisted wants inotify
)


def main(step: str, source: Path, root: Path) -> None:
    """Do one of the steps; a missing piece is an exception, and the build ends."""
    {"runtime": runtime, "native": native, "programs": programs}[step](source, root)


def runtime(packages: Path, root: Path) -> None:
    """Put everything but our own code into `root`."""
    for folder in ("bin", "sbin", "lib", "lib64"):
        if Path("/", folder).is_symlink():
            (root / "usr" / folder).mkdir(parents=True, exist_ok=True)
            (root / folder).symlink_to(f"usr/{folder}")
    copy_tree(STDLIB, root, STDLIB, _unused_in_stdlib)
    copy_tree(packages, root, SITE, _unused_in_packages)
    place(PYTHON, root)
    if not (root / "usr/bin/python3").exists():
        (root / "usr/bin").mkdir(parents=True, exist_ok=True)
        (root / "usr/bin/python3").symlink_to(PYTHON)
    for library in sorted(libraries([*root.rglob("*.so*"), root / str(PYTHON)[1:]])):
        place(library, root)
    for file in map(Path, FILES):
        if file.exists():
            place(file, root)
    certificates(packages, root)
    with (root / "etc/passwd").open("a") as passwd, (root / "etc/group").open("a") as group:
        passwd.write(f"kube-dns:x:{USER}:{USER}::/:/sbin/nologin\n")
        group.write(f"kube-dns:x:{USER}:\n")
    (root / "tmp").mkdir(mode=0o1777)
    (root / "tmp").chmod(0o1777)
    byte_compile(root)
    record_packages(root)


def native(source: Path, target: Path) -> None:
    """Compile the native piece as setup.py would; without compiler or headers, say so."""
    compiler = shutil.which("cc")
    headers = sysconfig.get_path("include")
    if compiler is None or not Path(headers, "Python.h").exists():
        print("no C compiler, or no headers of Python: the native piece is left out")
        return
    library = target / f"_batch{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = ["-O2", "-shared", "-fPIC", "-s", f"-I{headers}"]
    sources = [source / "_batch.c", source / "_ring.c"]
    subprocess.run([compiler, *flags, "-o", library, *sources], check=True)


def programs(source: Path, root: Path) -> None:
    """Put our packages and the three programs into `root`."""
    for program, package in PROGRAMS.items():
        copy_tree(source / package, root, SITE / package, _unused_of_ours)
        # I: nothing from the environment or the working directory is imported. B: nothing is
        # written. OO: no docstrings in memory, 7 MB less in a pod; byte_compile says the same.
        text = f"#!{PYTHON} -IBOO\nfrom {package}.__main__ import main\n\nmain()\n"
        (root / program).write_text(text)
        (root / program).chmod(0o755)
    byte_compile(root)


def copy_tree(source: Path, root: Path, target: Path, unused: Callable[[Path], bool]) -> None:
    """Copy the files below `source` to `target` in `root`, without what `unused` says of paths."""

    def skip(folder: str, names: list[str]) -> Iterable[str]:
        paths = (Path(folder, name) for name in names)
        return {
            path.name for path in paths if path.is_symlink() or unused(path.relative_to(source))
        }

    shutil.copytree(source, root / str(target)[1:], ignore=skip, dirs_exist_ok=True)


def _unused_in_stdlib(path: Path) -> bool:
    return path.name in UNUSED or path.name.startswith(("config-", "_tkinter."))


def _unused_in_packages(path: Path) -> bool:
    if path.name in ("__pycache__", "test", "tests", "bin") or path.suffix in (".pyi", ".c", ".h"):
        return True
    return str(path) in UNUSED_PACKAGES


def _unused_of_ours(path: Path) -> bool:
    return path.name == "__pycache__" or path.suffix in (".c", ".pyi")


def place(path: Path, root: Path) -> None:
    """Copy a file to where it is, with the links that lead to it."""
    path = path.parent.resolve() / path.name
    target = root / str(path)[1:]
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() or target.is_symlink():
        return
    if path.is_symlink():
        target.symlink_to(path.readlink())
        place(path.parent / path.readlink(), root)
    else:
        shutil.copy2(path, target)


def libraries(binaries: Iterable[Path]) -> set[Path]:
    """Return the shared libraries of this system that any of `binaries` needs, the loader too."""
    found: set[Path] = set()
    for binary in binaries:
        listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        if "not found" in listed:
            raise FileNotFoundError(f"{binary}: {listed}")
        found.update(_paths(listed))
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    for name in LATE_LIBRARIES:
        lines = [line for line in known.stdout.splitlines() if line.split()[:1] == [name]]
        found.add(Path(lines[0].rpartition("=> ")[2]))
    return found


def _paths(listed: str) -> Iterator[Path]:
    """Yield the paths in what ldd says that are files of the system, not of the new root."""
    for line in listed.splitlines():
        path = line.rpartition("=> ")[2].strip().partition(" (")[0]
        if path.startswith(("/lib", "/usr")):
            yield Path(path)


def certificates(packages: Path, root: Path) -> None:
    """Take the authorities for DNS over TLS from certifi: the base's may be those of who builds."""
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(packages / "certifi/cacert.pem", bundle)


def byte_compile(root: Path) -> None:
    """Compile all modules; they are never checked against their source, which cannot change."""
    done = compileall.compile_dir(
        root,
        quiet=1,
        workers=0,
        maxlevels=30,
        stripdir=str(root),
        optimize=2,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        raise SystemExit("not everything could be compiled, see above")


def record_packages(root: Path) -> None:
    """Write down which Debian packages the files are from: scanners for known faults read that."""
    if shutil.which("dpkg-query") is None:
        return
    names: set[str] = set()
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.suffix not in (".py", ".pyc"):
            plain = "/" + str(path.relative_to(root))
            names.update(_owners([plain, plain.removeprefix("/usr")]))
    status = root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True, exist_ok=True)
    query = ["dpkg-query", "--status", *sorted(names)]
    status.write_bytes(subprocess.run(query, capture_output=True, check=True).stdout)


def _owners(paths: list[str]) -> Iterator[str]:
    query = ["dpkg-query", "--search", *paths]
    found = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    for line in found.splitlines():
        if not line.startswith("diversion by"):
            yield from line.partition(": ")[0].split(", ")


if __name__ == "__main__":
    os.umask(0o022)
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
