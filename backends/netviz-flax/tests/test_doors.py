"""The package comes in through the doors of netviz alone, and names no other framework."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import netviz_flax

FILES = sorted(Path(netviz_flax.__file__).parent.glob("*.py"))
ALLOWED = {"netviz_core", "netviz_core.backend_api", "netviz_core.testing"}


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_netviz_is_imported_through_its_doors(file: Path) -> None:
    for name in imported(ast.parse(file.read_text("utf-8"))):
        assert name in ALLOWED or not name.startswith("netviz")
        assert name.partition(".")[0] not in ("torch", "keras", "tensorflow")
