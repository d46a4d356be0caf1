"""Permuting the samples permutes the results, and the same call gives the same answer: for published architectures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from .. import laws
from ..architectures import from_timm, from_torchvision, from_transformers, hybrids
from ..architectures.recipe import Architecture

QUICK = {
    *(
        "torchvision squeezenet1_1",
        "torchvision resnet18",
        "torchvision swin_t",
        "torchvision mobilenet_v3_small",
    ),
    *("timm lcnet_035", "timm starnet_s1", "timm vit_tiny_patch16_224", "timm swinv2_cr_tiny_ns_224"),
    *("timm xcit_nano_12_p16_224", "timm mobilevit_xxs", "timm botnet26t_256", "timm levit_128s"),
}
"""Of the large collections; `benchmarks/published_architectures.py` looks at all."""

WITH_PLACES = [
    *hybrids.IMAGE,
    *from_transformers.IMAGE,
    *(one for one in (*from_torchvision.IMAGE, *from_timm.IMAGE) if one.name in QUICK),
]
WITHOUT = [*hybrids.SEQUENCE, *from_transformers.TEXT]
ALL = [*((one, True) for one in WITH_PLACES), *((one, False) for one in WITHOUT)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are done before a second thread has begun."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_there_are_enough_of_them():
    assert len(ALL) >= 60
    assert len(QUICK) == sum(one.name in QUICK for one in WITH_PLACES)


@pytest.mark.parametrize(("architecture", "has_places"), ALL, ids=[one.name for one, _ in ALL])
@pytest.mark.filterwarnings("ignore")  # what the libraries say of their own configurations
def test_the_laws_hold(architecture: Architecture, has_places: bool):
    model, x = architecture.build(), architecture.inputs(3)
    found = laws.broken_by_order(model, x, has_places)
    assert not {name: said for name, said in found.items() if said.startswith("broken")}
    found = laws.broken_by_repetition(model, x, has_places)
    assert not {name: said for name, said in found.items() if said.startswith("broken")}
