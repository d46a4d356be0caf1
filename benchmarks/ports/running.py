"""Runs the cases, in several processes, and prints how the comparison did."""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from types import FrameType

from .judging import Case, Verdict, judged
from .telling import tally


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    names = [case.name for case in chosen(options)]
    if options.list:
        print("\n".join(names))
        return 0
    if not names:
        print(f"no case has {' or '.join(options.filter)} in its name; --list shows all", file=sys.stderr)
        return 2
    verdicts: list[Verdict] = []
    start = time.monotonic()
    for number, verdict in enumerate(_verdicts(names, options.jobs, options.limit), 1):
        verdicts.append(verdict)
        if not options.quiet:
            print(
                f"{number:4}/{len(names)} {time.monotonic() - start:6.0f} s  {_line(verdict)}",
                file=sys.stderr,
                flush=True,
            )
        if options.json and (number % 25 == 0 or number == len(names)):
            Path(options.json).write_text(json.dumps([dataclasses.asdict(one) for one in verdicts], indent=1))
    verdicts.sort(key=lambda verdict: names.index(verdict.name))
    said, is_met = tally(verdicts)
    print(said)
    return int(not is_met)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ports", description="Judge nv.compare on a corpus of ports."
    )
    parser.add_argument(
        "filter", nargs="*", help="parts of names; all of the parts that a comma joins have to be there"
    )
    parser.add_argument("--group", action="append", help="right, faults, real, or 'real faults'")
    parser.add_argument("--quick", action="store_true", help="every eighth case")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th case")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--limit", type=int, default=120, metavar="SECONDS", help="for each comparison")
    parser.add_argument("--json", metavar="FILE", help="write each verdict there")
    parser.add_argument("--list", action="store_true", help="only names")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser.parse_args(arguments)


def chosen(options: argparse.Namespace) -> list[Case]:
    from .cases import all_cases

    wanted = [part.split(",") for part in options.filter] or [[]]
    cases = [
        case for case in all_cases() if any(all(part in case.name for part in parts) for parts in wanted)
    ]
    cases = [case for case in cases if not options.group or case.group in options.group]
    return cases[:: 8 if options.quick else options.every]


def _line(verdict: Verdict) -> str:
    word = "ok" if verdict.is_right else verdict.status if verdict.status != "compared" else "WRONG"
    return f"{word:9} {verdict.seconds:5.1f} s  {verdict.name}"


def _verdicts(names: list[str], jobs: int, limit: int) -> Iterator[Verdict]:
    if jobs == 1:
        _prepare()
        yield from (_judged(name, limit) for name in names)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _prepare) as pool:
        for future in as_completed([pool.submit(_judged, name, limit) for name in names]):
            yield future.result()


_CASES: dict[str, Case] = {}


def _prepare() -> None:
    import torch

    from .cases import all_cases

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    _CASES.update((case.name, case) for case in all_cases())


def _judged(name: str, limit: int) -> Verdict:
    """One verdict; a comparison that takes too long is given up."""
    case = _CASES[name]

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {limit} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit)
    try:
        return judged(case)
    except TimeoutError as error:
        return Verdict(name, case.group, case.family, status="time", said=str(error))
    finally:
        signal.alarm(0)
