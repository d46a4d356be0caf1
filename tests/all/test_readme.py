"""What the README and the examples show runs as it stands."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import benchmarks.torchvision_models  # noqa: F401  Makes torchvision load beside every build of PyTorch.

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_readmes_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert {path.name for path in tmp_path.iterdir()} == {"kernels.png", "histogram.png", "feature-maps.png"}
    promised = re.search(r"print\(.*?\)  # (.*)", code)
    assert promised is not None
    assert capsys.readouterr().out.strip() == promised.group(1)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example), run_name="__main__")
    assert list(tmp_path.glob("*.png"))


def test_ci_runs_the_readmes_test_command():
    (command,) = [line for line in README.splitlines() if line.endswith("tox run")]
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()
