"""The package comes in through the doors of netviz alone, and names no framework."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import netviz_onnx

ALLOWED = {"netviz_core", "netviz_core.backend_api", "netviz_core.testing"}
FILES = sorted(Path(netviz_onnx.__file__).parent.glob("*.py"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_netviz_is_imported_through_its_doors(file: Path) -> None:
    for name in imported(ast.parse(file.read_text("utf-8"))):
        if name.startswith("netviz_core"):
            assert name in ALLOWED
        assert name.partition(".")[0] not in ("torch", "keras", "tensorflow", "netviz_torch", "netviz_keras")


def test_no_file_is_long() -> None:
    assert max(len(file.read_text("utf-8").splitlines()) for file in FILES) <= 400
