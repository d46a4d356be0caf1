"""What third parties may rely on is behind the doors, whole."""

from __future__ import annotations

import inspect

import pytest

import netviz_core as nv
from netviz_core import backend_api, renderer_api
from netviz_core.renderer_api import View
from netviz_core.words import errors, supports_data, supports_flow, supports_models, supports_passes

CONTRACTS = (supports_data, supports_flow, supports_models, supports_passes, errors)


@pytest.mark.parametrize("door", [backend_api, renderer_api], ids=["backends", "renderers"])
def test_all_that_a_door_names_is_there(door):
    assert len(set(door.__all__)) == len(door.__all__)
    assert [name for name in door.__all__ if not hasattr(door, name)] == []


@pytest.mark.parametrize("module", CONTRACTS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_opt_in_protocol_and_every_error_is_behind_the_door(module):
    own = {
        name
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__ and name[0] != "_"
    }
    assert own
    assert own - set(backend_api.__all__) == set()


def test_every_public_view_is_behind_the_door():
    """A view may be drawn as what it is derived from, such as health as a table of measures."""
    drawn = tuple(
        cls for cls in vars(renderer_api).values() if inspect.isclass(cls) and View in cls.__mro__[1:]
    )
    views = {
        cls
        for cls in (getattr(nv, name) for name in nv.__all__)
        if inspect.isclass(cls) and View in cls.__mro__
    }
    assert views
    assert [view for view in views if not issubclass(view, drawn)] == []
