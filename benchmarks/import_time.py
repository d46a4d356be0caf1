"""What ``import netviz_core`` costs beside ``import numpy``, each in fresh interpreters, side by side.

Run it as ``python benchmarks/import_time.py``. It prints the best of several runs of each. Public names bring
their rooms when they are first used, so what the most common ones bring is measured, too.
"""

from __future__ import annotations

import subprocess
import sys
import time

ROUNDS = 25
OURS = {
    "import netviz_core": "import netviz_core",
    "… and its first use": "import netviz_core as nv; nv.capture, nv.kernels, nv.histogram, nv.feature_maps",
}


def seconds(code: str) -> float:
    """How long an interpreter takes that does nothing but `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure both in turns, so that a busy machine disturbs them alike."""
    ways = {"pass": "pass", "import numpy": "import numpy", **OURS}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, code in ways.items():
            best[name] = min(best[name], seconds(code))
    numpy = best["import numpy"] - best["pass"]
    print(f"{'import numpy':20} {numpy * 1000:6.1f} ms")
    for name in OURS:
        taken = best[name] - best["pass"]
        print(f"{name:20} {taken * 1000:6.1f} ms, {taken / numpy:.2f} times as long")


if __name__ == "__main__":
    main()
