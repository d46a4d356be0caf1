"""A Learner that was exported is opened for those who vouch for it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.learner import Learner

import netviz_core as nv

from .learners import SENTENCES, people

BACKEND = nv.get_backend("fastai")


def _exported(learner: Learner, path: Path) -> Path:
    learner.export(path.absolute())
    return path


def test_an_exported_learner_is_loaded_with_trust(digits: Learner, tmp_path: Path) -> None:
    path = _exported(digits, tmp_path / "digits.pkl")
    network = nv.wrap(path, trust=True)
    assert network.backend == "fastai"
    assert list(network.layers) == list(nv.wrap(digits).layers)
    item = digits.dls.valid_ds.items[0]
    torch.testing.assert_close(network.adapter.run(network.native, item), BACKEND.run(digits, item))
    assert BACKEND.class_names(network.native) == BACKEND.class_names(digits)
    np.testing.assert_array_equal(
        BACKEND.images(network.native, item).values, BACKEND.images(digits, item).values
    )


def test_it_takes_items_and_has_no_data(learner: Learner, tmp_path: Path) -> None:
    native = nv.wrap(_exported(learner, tmp_path / "any.pkl"), trust=True).native
    with pytest.raises(
        nv.InputError, match=r"DataLoaders are empty, as those of one that was exported; give x"
    ):
        BACKEND.example(native)
    with pytest.raises(nv.InputError, match="no validation data; give data="):
        BACKEND.examples(native)
    assert BACKEND.class_names(native) == BACKEND.class_names(learner)
    item = _item_of(learner)
    torch.testing.assert_close(BACKEND.run(native, item), BACKEND.run(learner, item))
    assert BACKEND.describe(native, item) == BACKEND.describe(learner, item)


def _item_of(learner: Learner) -> Any:
    """Something that goes through the Learner's transforms."""
    items = learner.dls.valid_ds.items
    if not isinstance(items, pd.DataFrame):
        return items[0]
    return (
        SENTENCES[0]
        if "text" in items
        else {"user": 1, "title": "Alien"}
        if "user" in items
        else people().iloc[3]
    )


def test_without_trust_nothing_is_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "bomb.pkl"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(
        nv.FileFormatError, match=r"is a pickle.*run code.*trust=True \(--trust on the command line\)"
    ):
        nv.wrap(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("kind", ["pickle", "torch", "module", "text", "half"])
def test_what_is_no_learner_gets_a_sentence(digits: Learner, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "some.pkl"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"a": 1}))
    elif kind == "torch":
        torch.save({"a": torch.ones(1)}, path)
    elif kind == "module":
        torch.save(digits.model, path)
    elif kind == "text":
        path.write_text("nothing of the kind")
    else:
        whole = _exported(digits, path).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    said = (
        "and no Learner; give a file" if kind in ("torch", "module") else "could not be loaded as a Learner"
    )
    with pytest.raises(nv.FileFormatError, match=said):
        nv.wrap(path, trust=True)


def test_a_learner_of_code_that_is_not_there_says_which(tmp_path: Path) -> None:
    """Its labels came from a function of a script that does not run here."""
    (tmp_path / "labels_for_test.py").write_text("def loss(output, target):\n    return output.mean()\n")
    script = (
        "import sys, warnings; warnings.simplefilter('ignore'); sys.path.insert(0, '.')\n"
        "import torch, labels_for_test; from fastai.learner import Learner; from fastai.data.core import DataLoaders\n"
        "learner = Learner(DataLoaders(), torch.nn.Linear(1, 1), loss_func=labels_for_test.loss)\n"
        "torch.save(learner, 'lost.pkl')\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    with pytest.raises(nv.FileFormatError, match=r"needs a module that cannot be imported.*labels_for_test"):
        nv.wrap(tmp_path / "lost.pkl", trust=True)


def test_the_command_line_needs_trust_too(table: Learner, tmp_path: Path) -> None:
    path = _exported(table, tmp_path / "table.pkl")
    refused = _command("layers", str(path))
    assert refused.returncode == 2
    assert "--trust" in refused.stderr
    done = _command("layers", str(path), "--trust")
    assert done.returncode == 0, done.stderr
    assert "embeds.0" in done.stdout


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", "netviz_core", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
