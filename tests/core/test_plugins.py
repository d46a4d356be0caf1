"""The promises of discovery: lazy, guarded, and clear about what is wrong."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.testing import example_model


def test_a_healthy_plugin_is_found_and_used(plugins):
    plugins("healthy")
    import toyframe

    assert nv.list_backends()["toyframe"].status == "available"
    network = nv.wrap(toyframe.Net())
    assert network.backend == "toyframe"
    assert nv.list_backends()["toyframe"].status == "loaded"
    assert nv.list_backends()["toyframe"].distribution == "netviz-toyframe 1.0"
    np.testing.assert_array_equal(nv.capture(network, np.ones((1, 2)))[""].values, [[2, 2]])


def test_listing_imports_no_plugin(plugins):
    plugins("healthy", "broken", "twice_two", "missing")
    nv.list_backends()
    assert not {"netviz_toyframe", "netviz_badframe", "netviz_twice_two", "netviz_absentframe"} & set(
        sys.modules
    )


def test_a_broken_plugin_hurts_only_those_who_ask_for_it(plugins):
    plugins("broken", "healthy")
    import badframe
    import toyframe

    assert nv.wrap(toyframe.Net()).backend == "toyframe"
    for _ in range(2):
        with pytest.raises(nv.BackendLoadError) as caught:
            nv.wrap(badframe.Net())
    message = str(caught.value)
    assert "netviz_badframe:BadBackend" in message
    assert "netviz-badframe 2.1" in message
    assert "libbad.so.1" in message
    assert isinstance(caught.value.__cause__, OSError)
    assert isinstance(caught.value, ImportError)
    status = nv.list_backends()["badframe"]
    assert status.status == "broken"
    assert "libbad.so.1" in status.reason


def test_a_plugin_whose_framework_is_missing_says_what_to_install(plugins):
    plugins("missing")
    status = nv.list_backends()["absentframe"]
    assert (status.status, status.install) == (
        "missing dependency",
        'pip install "netviz-absentframe[absentframe]"',
    )
    with pytest.raises(
        nv.BackendLoadError, match=r'pip install "netviz-absentframe\[absentframe\]"'
    ) as caught:
        nv.get_backend("absentframe")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_framework_whose_distribution_has_another_name_is_brought_by_what_requires_it(plugins):
    """Nobody can install scikit-learn as sklearn."""
    plugins("elsewhere")
    assert nv.list_backends()["elsewhereframe"].install == "pip install netviz-elsewhereframe"


def test_two_claims_to_one_name_raise_and_name_both(plugins):
    plugins("healthy", "twice_two")
    import toyframe

    with pytest.raises(nv.BackendConflictError):
        nv.wrap(toyframe.Net())
    with pytest.raises(nv.BackendConflictError) as caught:
        nv.get_backend("toyframe")
    assert "netviz-toyframe 1.0" in str(caught.value)
    assert "netviz-twice-two 3.0" in str(caught.value)
    assert nv.list_backends()["toyframe"].status == "broken"


def test_one_distribution_found_twice_is_no_conflict(plugins, monkeypatch, tmp_path):
    plugins("healthy")
    import shutil

    from .conftest import PLUGINS

    shutil.copytree(PLUGINS / "healthy", tmp_path / "again")
    monkeypatch.syspath_prepend(str(tmp_path / "again"))
    nv.refresh_backends()
    assert nv.get_backend("toyframe").name == "toyframe"


def test_registering_by_hand_settles_a_conflict(plugins, monkeypatch):
    plugins("healthy", "twice_two")
    monkeypatch.setattr(nv.plugins._backends, "_registered", {})
    nv.register_backend("toyframe", "netviz_toyframe:ToyBackend")
    assert nv.get_backend("toyframe").name == "toyframe"


def test_a_conflict_does_not_hurt_others(plugins):
    plugins("twice_one", "twice_two")
    assert nv.wrap(example_model()).backend == "netviz_core"


def test_a_plugin_without_the_required_parts_says_which(monkeypatch):
    monkeypatch.setattr(nv.plugins._backends, "_registered", {})
    nv.register_backend("half", types.SimpleNamespace(name="half", accepts=lambda model: True))
    with pytest.raises(
        nv.BackendLoadError, match=r"lacks layers, run, record; see netviz_core\.backend_api\.Backend"
    ):
        nv.get_backend("half")


def test_no_backend_of_that_name_lists_the_nearest(plugins):
    plugins("healthy")
    with pytest.raises(nv.InputError, match="did you mean 'toyframe'"):
        nv.get_backend("toyfram")


def test_a_target_that_is_no_target_is_refused():
    with pytest.raises(nv.InputError, match="module:attribute"):
        nv.register_backend("x", "no-colon")


def test_an_unknown_object_says_what_is_installed(plugins):
    plugins("healthy", "missing")
    with pytest.raises(nv.UnknownModelError) as caught:
        nv.wrap(object())
    assert "builtins.object" in str(caught.value)
    assert "toyframe" in str(caught.value)
    assert 'pip install "netviz-absentframe[absentframe]"' in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_a_class_instead_of_a_model_is_noticed(plugins):
    plugins("healthy")
    import toyframe

    with pytest.raises(nv.UnknownModelError, match="this is a class"):
        nv.wrap(toyframe.Net)


def test_the_nearest_class_decides(plugins):
    """A class of ours that derives from a framework's is that framework's."""
    plugins("healthy")
    import toyframe

    class Mine(toyframe.Net):
        pass

    assert nv.wrap(Mine()).backend == "toyframe"


def test_an_object_that_its_framework_does_not_accept_goes_to_the_next(plugins, monkeypatch):
    """As with a module that fastai defines: its root names fastai, but it is torch's."""
    plugins("healthy")
    import toyframe

    picky = types.SimpleNamespace(
        name="picky", accepts=lambda model: False, layers=None, run=None, record=None
    )
    monkeypatch.setattr(nv.plugins._backends, "_registered", {})
    nv.register_backend("pickyframe", picky)
    cls = type("Net", (toyframe.Net,), {"__module__": "pickyframe.layers"})
    assert nv.wrap(cls()).backend == "toyframe"


def test_importing_the_core_loads_nothing_heavy():
    code = (
        "import sys, netviz_core; heavy = {'torch','tensorflow','keras','jax','fastai','matplotlib','pandas',"
        "'scipy','PIL','einops','typer','rich','safetensors','netviz_torch','netviz_keras','netviz_matplotlib'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_those_promised():
    for name in nv.__all__:
        assert getattr(nv, name) is not None


def test_a_suffix_that_nobody_writes_names_the_renderers_that_did_not_load(tmp_path, monkeypatch):
    monkeypatch.setattr(nv.plugins._renderers, "_registered", {})
    nv.register_renderer("absent", "no_such_package:Renderer")
    view = nv.kernels(example_model(), "conv1")
    with pytest.raises(
        nv.FileFormatError, match=r"'matplotlib' writes \.png, .* and not \.xyz; .*no_such_package"
    ):
        view.save(tmp_path / "x.xyz")
    view.save(tmp_path / "x.png")
