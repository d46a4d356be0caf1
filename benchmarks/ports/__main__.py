"""Judges ``nv.compare`` on a corpus of ports: ``python -m benchmarks.ports --help``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

if __name__ == "__main__":
    from benchmarks.ports.running import main

    sys.exit(main(sys.argv[1:]))
