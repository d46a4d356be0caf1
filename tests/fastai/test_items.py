"""Paths, images, rows and texts go through the Learner's own transforms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.learner import Learner
from fastai.vision.all import PILImage
from PIL import Image

import netviz_core as nv

from .learners import SENTENCES, people
from .state import quietly

BACKEND = nv.get_backend("fastai")


def _predicted(learner: Learner, items: Any) -> torch.Tensor:
    """The scores that fastai itself gives to items."""
    loader = learner.dls.test_dl(items, num_workers=0)
    scores, _ = quietly(learner, "get_preds", dl=loader, act=lambda scores: scores)
    return scores.as_subclass(torch.Tensor)


def test_an_image_may_be_a_path_a_string_or_an_image(digits: Learner) -> None:
    path = Path(digits.dls.valid_ds.items[3])
    expected = _predicted(digits, [path])
    with Image.open(path) as grey:  # not read so far
        kind = type(grey)
        assert (grey.mode, PILImage.create(path).mode) == ("L", "RGB")
        for item in (path, str(path), grey, PILImage.create(path), grey.convert("RGBA"), path.read_bytes()):
            torch.testing.assert_close(BACKEND.run(digits, item), expected, rtol=0, atol=0)
        assert (type(grey), grey.mode) == (kind, "L")


def test_several_items_are_one_batch(digits: Learner) -> None:
    paths = list(digits.dls.train_ds.items[:11])
    assert len(paths) > digits.dls.valid.bs
    torch.testing.assert_close(BACKEND.run(digits, paths), _predicted(digits, paths), rtol=1e-5, atol=1e-5)
    captured = nv.capture(digits, paths, "0.0")
    assert captured["0.0"].shape[0] == 11


def test_a_row_may_be_a_series_a_mapping_or_a_table(table: Learner) -> None:
    frame = people().iloc[3:7]  # one age is missing
    expected = _predicted(table, frame)
    given = [frame.iloc[0], dict(frame.iloc[0]), frame.iloc[[0]], frame.iloc[0].drop("likes_tea")]
    for item in given:
        torch.testing.assert_close(BACKEND.run(table, item), expected[:1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(BACKEND.run(table, frame), expected, rtol=0, atol=0)
    rows = [frame.iloc[0], dict(frame.iloc[1])]
    torch.testing.assert_close(BACKEND.run(table, rows), expected[:2], rtol=1e-5, atol=1e-6)


def test_who_rates_what(ratings: Learner) -> None:
    items = [{"user": 3, "title": "Brazil"}, {"user": 5, "title": "Alien"}]
    expected = _predicted(ratings, pd.DataFrame(items))
    torch.testing.assert_close(BACKEND.run(ratings, items), expected, rtol=0, atol=0)
    torch.testing.assert_close(BACKEND.run(ratings, items[0]).reshape(1), expected[:1])


def test_a_text_is_a_string(texts: Learner) -> None:
    expected = _predicted(texts, [SENTENCES[1]])
    torch.testing.assert_close(BACKEND.run(texts, SENTENCES[1]), expected, rtol=0, atol=0)
    captured = nv.capture(texts, SENTENCES[1], "1")
    assert captured["1#0"].axes[0] == "batch"


def test_several_texts_stand_with_the_longest_first(texts: Learner) -> None:
    lines = BACKEND.describe(texts, list(SENTENCES))
    assert [line.partition(" ")[0] for line in lines] == ["what", "i", "the", "so"]
    torch.testing.assert_close(
        BACKEND.run(texts, list(SENTENCES)), _predicted(texts, list(SENTENCES))[[1, 0, 2, 3]]
    )


def test_long_texts_are_read_as_fastai_reads_them(texts: Learner) -> None:
    """Texts that differ by more than a window: fastai's encoder wants them sorted."""
    items = [SENTENCES[0], " ".join(SENTENCES * 12), " ".join(SENTENCES * 5)]
    expected = _predicted(texts, items)
    torch.testing.assert_close(BACKEND.run(texts, items), expected[[1, 2, 0]], rtol=1e-5, atol=1e-6)


def test_a_language_model_reads_a_text_whole(language: Learner) -> None:
    tokens = language.dls.test_dl([SENTENCES[1]]).items[0]
    assert BACKEND.run(language, SENTENCES[1]).shape[:2] == (1, len(tokens))
    with pytest.raises(nv.InputError, match=r"2 texts were given.*one by one"):
        BACKEND.run(language, list(SENTENCES[:2]))


def test_a_mask_is_not_needed_for_a_new_photograph(photographs: Learner) -> None:
    path = photographs.dls.valid_ds.items[0]
    assert BACKEND.run(photographs, path).shape == (1, 2, 64, 64)


def test_tensors_and_arrays_go_to_the_model_as_they_are(digits: Learner, table: Learner) -> None:
    x = torch.randn(2, 3, 32, 32)
    expected = digits.model.eval()(x).detach()
    for given in (x, x.numpy(), nv.AxisArray(x.numpy(), ("batch", "channel", "y", "x")), (x,)):
        torch.testing.assert_close(BACKEND.run(digits, given), expected)
    codes, numbers = torch.ones(2, 2, dtype=torch.int64), torch.randn(2, 2)
    expected = table.model.eval()(codes, numbers).detach()
    torch.testing.assert_close(BACKEND.run(table, (codes.numpy(), numbers.numpy())), expected)
    torch.testing.assert_close(BACKEND.run(table, {"x_cat": codes, "x_cont": numbers}), expected)


@pytest.mark.parametrize(
    ("which", "item", "said"),
    [
        ("table", "Ann", "'Ann' was given to a Learner of tables; give a row"),
        ("table", {"job": "baker"}, "cannot go through this Learner's transforms.*age"),
        ("table", {"job": "pilot", "age": 4.0, "height": np.nan}, "cannot go through.*height"),
        ("texts", people().iloc[0], "a Series cannot go through this Learner's transforms"),
        ("digits", {"job": "baker"}, "a Series|a dict cannot go through this Learner's transforms"),
        ("digits", 3, "3 was given as input; give an array or a tensor"),
    ],
)
def test_an_item_of_another_kind_gets_a_sentence(
    request: pytest.FixtureRequest, which: str, item: Any, said: str
) -> None:
    with pytest.raises(nv.InputError, match=said):
        BACKEND.run(request.getfixturevalue(which), item)


def test_a_file_that_is_not_there_is_named(digits: Learner) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        BACKEND.run(digits, "nowhere.png")
