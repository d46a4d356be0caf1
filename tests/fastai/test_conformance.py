"""The fastai backend passes the suite that third parties use, unmodified."""

from __future__ import annotations

from pathlib import Path

import pytest

from netviz_core.testing import BackendConformance

from . import learners


class TestFastai(BackendConformance):
    @pytest.fixture
    def case(self, tmp_path: Path):
        learner = learners.digits(tmp_path)
        return learner, learner.dls.valid.one_batch()[0][:2]
