"""How much of a difference may be noise."""

from __future__ import annotations

import numpy as np
import pytest

from netviz_core.comparing.judging.difference import difference
from netviz_core.comparing.judging.noise import FAULT, noise_of


@pytest.mark.parametrize("count", [2, 4, 8, 16, 40, 1000])
def test_noise_of_few_values_is_no_fault(count: int) -> None:
    random = np.random.default_rng(count)
    clean, faults, tries = random.normal(size=count), 0, 3000
    for _ in range(tries):
        measured, seen = (clean + 1e-2 * random.normal(size=count) for _ in range(2))
        noise = noise_of("bfloat16", difference(measured, clean, 0.0))
        faults += noise.ratio(difference(seen, clean, 0.0)) >= FAULT
    assert faults <= 3e-3 * tries


def test_a_fault_of_three_times_the_noise_is_one_where_there_are_many_values() -> None:
    random = np.random.default_rng(0)
    clean = random.normal(size=1000)
    measured, seen = (clean + size * random.normal(size=1000) for size in (1e-2, 3e-2))
    assert noise_of("bfloat16", difference(measured, clean, 0.0)).ratio(difference(seen, clean, 0.0)) >= FAULT
