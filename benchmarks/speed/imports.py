"""What ``import netviz_core`` costs beside ``import numpy``, each in fresh interpreters.

Public names bring their rooms when they are first used, so what the most common ones bring is measured, too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from .turns import Case, Ways


def bare(quick: bool) -> Ways:
    return _ways("import netviz_core")


def first_use(quick: bool) -> Ways:
    return _ways("import netviz_core as nv; nv.capture, nv.kernels, nv.histogram, nv.feature_maps")


def _ways(code: str) -> Ways:
    return {
        "netviz": _interpreter(code),
        "numpy": _interpreter("import numpy"),
        "interpreter": _interpreter("pass"),
    }


def _interpreter(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


CASES = [
    Case("import netviz_core", bare, {"numpy": 1.3}, beyond="interpreter"),
    Case("import netviz_core and its most common functions", first_use, beyond="interpreter"),
]
