"""What ``import netviz_core`` costs beside ``import numpy``, each in fresh interpreters, side by side.

Run it as ``python benchmarks/import_time.py``. It prints the best of several runs of each.
"""

from __future__ import annotations

import subprocess
import sys
import time

ROUNDS = 25


def seconds(code: str) -> float:
    """How long an interpreter takes that does nothing but `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure both in turns, so that a busy machine disturbs them alike."""
    best = dict.fromkeys(("pass", "import numpy", "import netviz_core"), float("inf"))
    for _ in range(ROUNDS):
        for code in best:
            best[code] = min(best[code], seconds(code))
    numpy, ours = (best[f"import {name}"] - best["pass"] for name in ("numpy", "netviz_core"))
    print(f"import numpy        {numpy * 1000:6.1f} ms")
    print(f"import netviz_core  {ours * 1000:6.1f} ms, {ours / numpy:.2f} times as long")


if __name__ == "__main__":
    main()
