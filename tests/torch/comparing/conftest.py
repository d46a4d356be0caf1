from __future__ import annotations

import pytest


@pytest.fixture(params=["fault in b", "fault in a"])
def turned(request: pytest.FixtureRequest) -> bool:
    return request.param == "fault in a"
