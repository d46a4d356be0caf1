"""Every line of ``python -m benchmarks`` can be measured; how long it takes is not judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = {"torchinfo", "torchview"}
"""What is there only to be compared with; a machine on which all is to be tested has them."""


def test_every_line_can_be_measured(tmp_path):
    written = tmp_path / "times.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(written)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(written.read_text())
    assert found["machine"]["processor"]
    assert len(found["cases"]) > 30
    for case in found["cases"]:
        assert case["title"] in ran.stdout
        assert case["ratios"], case["title"]
    assert_left_out(found["left_out"])


def assert_left_out(reasons: dict[str, str]) -> None:
    """Nothing is, but for peers that are not installed."""
    missing = {reason.split()[1] for reason in reasons.values()}
    assert missing <= (set() if os.environ.get("CI") else PEERS), reasons
