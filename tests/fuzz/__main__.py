"""``python -m tests.fuzz TARGET|all [--seconds N] [--seed N]``: fuzz and print."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import running


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz one target, or all of them one after the other; return 1 when something was found."""
    options = _parse(argv)
    targets = running.TARGETS if options.target == "all" else (options.target,)
    seconds = max(1, options.seconds // len(targets))
    clean = True
    for target in targets:
        outcome = running.fuzz(
            target, Path(options.folder) / target, seconds=seconds, seed=options.seed
        )
        clean &= outcome.is_clean
        print(outcome, flush=True)
    return 0 if clean else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=(*running.TARGETS, "all"))
    parser.add_argument("--seconds", type=int, default=60, help="in all (60)")
    parser.add_argument("--seed", type=int, default=1, help="of the chance; 0: another each time")
    parser.add_argument(
        "--folder",
        default=str(cache / "kube-dns-py" / "fuzz"),
        help="where corpora and findings are kept (%(default)s)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
