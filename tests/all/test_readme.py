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
    first, *others = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(first, "README.md", "exec"), names)
    assert {path.name for path in tmp_path.iterdir()} == {"kernels.png", "histogram.png", "feature-maps.png"}
    promised = re.search(r"print\(.*?\)  # (.*)", first)
    assert promised is not None
    assert capsys.readouterr().out.strip() == promised.group(1)
    for code in others:
        exec(compile(code, "README.md", "exec"), names)
    assert_said(capsys.readouterr().out)
    assert (tmp_path / "differences.png").exists()


def assert_said(report: str) -> None:
    """The report begins as the README shows it, whatever the random weights make of the figures."""
    (shown,) = re.findall(r"```text\n(.*?)…\n```", README, flags=re.DOTALL)
    without_figures = [re.sub(r"\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?", "#", text) for text in (shown, report)]
    expected, said = (" ".join(text.split()) for text in without_figures)
    assert said.startswith(expected)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example), run_name="__main__")
    assert list(tmp_path.glob("*.png"))


def test_ci_runs_the_readmes_test_command():
    (command,) = [line for line in README.splitlines() if line.endswith("tox run")]
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()
