"""Which engine Keras runs on where its default is not installed, each seen in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENGINES = ["tensorflow", "jax", "torch"]

CODE = f"""
import importlib.util, json, os, sys

absent, real = sys.argv[1].split(), importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in absent else name in {ENGINES}

spec = real("netviz_keras")
path = os.path.join(spec.submodule_search_locations[0], "_select.py")
loaded = importlib.util.spec_from_file_location("_select", path)
module = importlib.util.module_from_spec(loaded)
loaded.loader.exec_module(module)
try:
    module.choose_engine()
except ModuleNotFoundError as error:
    sys.exit(f"{{error}} ({{error.name}})")
print(os.environ.get("KERAS_BACKEND", "as configured"))
"""


def choose(absent: list[str], home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", CODE, " ".join(absent)],
        env={**inherited, "KERAS_HOME": str(home), **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("absent", "chosen"),
    [
        ([], "as configured"),
        (["tensorflow"], "jax"),
        (["tensorflow", "jax"], "torch"),
        (["torch"], "as configured"),
    ],
)
def test_an_installed_engine_is_taken(absent: list[str], chosen: str, tmp_path: Path) -> None:
    assert choose(absent, tmp_path).stdout.strip() == chosen


def test_the_users_choice_stands(tmp_path: Path) -> None:
    assert choose(["tensorflow"], tmp_path, KERAS_BACKEND="torch").stdout.strip() == "torch"
    assert choose(ENGINES, tmp_path, KERAS_BACKEND="tensorflow").stdout.strip() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert choose(["tensorflow"], tmp_path).stdout.strip() == "as configured"
    (tmp_path / "keras.json").write_text("{")
    assert choose(["tensorflow"], tmp_path).stdout.strip() == "jax"


def test_none_is_installed(tmp_path: Path) -> None:
    ran = choose(ENGINES, tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.strip() == (
        "Keras needs one of tensorflow, jax, torch, and none of them is installed (tensorflow)"
    )
