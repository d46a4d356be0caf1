"""A package made from the template passes its suite beside the wheel, in an environment that knows no source tree.

Run by tox: the environment's Python is in CLEAN_PYTHON, and has the wheel of netviz-core.
"""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import copier
import pytest

TEMPLATE = Path(__file__).parents[2] / "examples" / "backend-template"
PYTHON = os.environ["CLEAN_PYTHON"]


def made(folder: Path, **answers: str) -> Path:
    copier.run_copy(str(TEMPLATE), folder, {"author": "The authors", **answers}, defaults=True, quiet=True)
    return folder


def ran(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the clean environment's Python leaves behind, which looks for modules where they are installed alone."""
    return subprocess.run([PYTHON, "-I", "-m", *arguments], capture_output=True, text=True, cwd=folder)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a package with the answers that the template offers, installed."""
    folder = made(tmp_path_factory.mktemp("made") / "netviz-sklearn")
    (group,) = tomllib.loads((folder / "pyproject.toml").read_text())["dependency-groups"].values()
    installed = ran("pip", "install", "--quiet", ".", *group, folder=folder)
    assert installed.returncode == 0, installed.stderr
    return folder


def test_it_passes_its_suite(package: Path) -> None:
    suite = ran("pytest", "-p", "no:cacheprovider", folder=package)
    assert suite.returncode == 0, suite.stdout
    assert "skipped" not in suite.stdout
    assert "xfailed" not in suite.stdout


def test_it_is_what_was_installed_that_is_tested(package: Path) -> None:
    (package / "netviz_sklearn" / "backend.py").write_text("raise RuntimeError('the source was imported')\n")
    suite = ran("pytest", "-p", "no:cacheprovider", "-k", "kernels_are", folder=package)
    assert suite.returncode == 0, suite.stdout


def test_a_check_that_passes_may_not_be_called_a_known_failure(package: Path) -> None:
    (package / "tests" / "known_failures.toml").write_text('test_an_unknown_layer_names_others = "untrue"\n')
    suite = ran("pytest", "-p", "no:cacheprovider", "-k", "unknown_layer", folder=package)
    assert suite.returncode == 1, suite.stdout
    assert "[XPASS(strict)] untrue" in suite.stdout


def test_netviz_announces_it(package: Path) -> None:
    listed = ran("netviz_core", "backends", folder=package).stdout
    (line,) = [line for line in listed.splitlines() if line.startswith("sklearn")]
    assert line.split()[1:] == ["loaded", "netviz-sklearn", "0.1.0"]


def test_names_are_those_that_were_answered(tmp_path: Path) -> None:
    folder = made(tmp_path / "mine", backend_name="my_frame", framework="MyFrame", package_name="netviz-mine")
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "netviz-mine"
    assert "MyFrame" in project["dependencies"]
    assert project["entry-points"]["netviz.backends"] == {"my_frame": "netviz_mine:MyFrameBackend"}
    assert 'name = "my_frame"' in (folder / "netviz_mine" / "backend.py").read_text()
    for file in folder.rglob("*.*"):
        assert file.is_dir() or "{%" not in file.read_text(), file


@pytest.mark.parametrize(
    "answers", [{"backend_name": "a.b"}, {"package_name": "netviz core"}, {"author": ""}, {"framework": ""}]
)
def test_an_answer_that_makes_no_package_is_refused(tmp_path: Path, answers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(answers))):
        made(tmp_path / "mine", **answers)
