"""Numbers are not written under the name of a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

import netviz_core as nv

from ...shown import SHOWN


@pytest.mark.parametrize("what", ["Capture", "Statistics", "TrainingHistory"])
@pytest.mark.parametrize("name", ["x.png", "x.PDF"])
def test_what_holds_numbers_is_no_picture(what: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(nv.InputError, match=r"has the suffix of a picture.*save\(path\)"):
        SHOWN[what]("conv1").save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_numbers_of_any_other_name_are_written(tmp_path: Path) -> None:
    for what, name in (("Capture", "a"), ("Statistics", "b.npz"), ("TrainingHistory", "c.history")):
        SHOWN[what]("conv1").save(tmp_path / name)
        assert (tmp_path / name).stat().st_size
