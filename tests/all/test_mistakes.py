"""A mistake is answered in one sentence of netviz' own, the same in every framework, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from .mistakes import (
    ABSENT,
    BACKENDS,
    CALLS,
    EVERYWHERE,
    LONGEST,
    Mistake,
    Subject,
    every_mistake,
    said,
    said_without,
    state,
    subject,
)

MISTAKES = list(every_mistake())


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    return {backend: subject(backend, tmp_path_factory.mktemp(backend)) for backend in BACKENDS}


@pytest.mark.parametrize(
    "mistake", MISTAKES, ids=lambda one: f"{one.backend}: {one.call} {one.given}".strip()
)
def test_a_mistake_is_told_in_a_sentence(mistake: Mistake, subjects: dict[str, Subject]):
    asked = subjects[mistake.backend]
    before: list[Any] = state(asked)
    text = said(mistake, asked)
    assert 20 < len(text) <= LONGEST, text
    assert "\n" not in text
    assert not text.endswith((".", ":", " ", ";")), text
    assert not text[0].isupper() or text.startswith(("True ", "None ")), text
    assert state(asked) == before
    assert not plt.get_fignums()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("given", EVERYWHERE)
def test_the_same_is_said_in_every_framework(call: str, given: str, subjects: dict[str, Subject]):
    told = {said(one, subjects[one.backend]) for one in MISTAKES if (one.call, one.given) == (call, given)}
    assert len(told - {text.replace("(4, 8, 8, 3)", "(4, 3, 8, 8)") for text in told}) <= 1, told


@pytest.mark.parametrize("call", ABSENT)
def test_what_is_not_installed_is_named_with_how_to_install_it(call: str, tmp_path: Path):
    absent, _ = ABSENT[call]
    text = said_without(call, tmp_path)
    assert f"{absent} is not installed; install it: pip install " in text or (
        f"needs {absent}, which is not installed; install it: pip install {absent}" in text
    )
    assert 20 < len(text) <= LONGEST
    assert "\n" not in text


def test_there_are_many():
    assert len(MISTAKES) >= 200
