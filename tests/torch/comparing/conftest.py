from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """What models draw as they run is the same in every order of the tests."""
    torch.manual_seed(0)


@pytest.fixture(params=["fault in b", "fault in a"])
def turned(request: pytest.FixtureRequest) -> bool:
    return request.param == "fault in a"
