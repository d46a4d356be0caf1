"""Times netviz beside its peers: ``python -m benchmarks [WORD …] [--quick] [--rounds 15] [--json FILE]``.

Each line says how many times as long netviz took as something else that does the same, or the least that has to be
done: in the median round, between which quartiles, and the fastest of both; and the megabytes that both added at the
worst. The aim, where there is one, is in brackets. All ways of a line are timed in turns, in one run. What is not
installed is left out, and named. ``--quick`` sees that all of it runs, on small models and once; its times say nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

MODULES = (
    "imports", "capture_torch", "capture_keras", "statistics", "training", "histograms", "feature_maps", "summaries",
    "graphs", "comparisons", "growth",
)  # fmt: skip


def main() -> None:
    options = _options()
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(options.threads))
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    sys.setrecursionlimit(20_000)  # Keras walks through a model layer by layer, each within the one before
    # Not before the number of threads is known, which the libraries read once.
    from benchmarks.speed import telling, turns

    measured, left_out = [], {}
    print(telling.HEADER)
    for case in _chosen(options, left_out):
        measured.append(turns.in_turns(case, rounds=options.rounds, quick=options.quick))
        print(*telling.rows(measured[-1]), sep="\n", flush=True)
    for name, reason in left_out.items():
        print(f"left out: {name}, {reason}")
    if options.json is not None:
        told = telling.as_json(measured, left_out, options.rounds, options.threads)
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help="only lines and modules with this in their name"
    )
    parser.add_argument("--quick", action="store_true", help="small models, one round")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all times, and the machine, to a file"
    )
    return parser.parse_args()


def _chosen(options: argparse.Namespace, left_out: dict[str, str]) -> Iterator:
    """The cases asked for; notes what cannot be imported."""
    for name in MODULES:
        try:
            cases = import_module(f"benchmarks.speed.{name}").CASES
        except ModuleNotFoundError as error:
            left_out[name] = f"for {error.name} is not installed"
            continue
        for case in cases:
            is_asked_for = any(word in f"{name} {case.title}" for word in options.words or [""])
            if is_asked_for and not (options.quick and case.is_variant):
                yield case


if __name__ == "__main__":
    main()
