"""The summary of a Learner: that of its model, with its own data."""

from __future__ import annotations

from fastai.learner import Learner

from netviz_core.summaries.summary import summary


def test_a_learner_brings_its_own_batch(digits: Learner) -> None:
    found = summary(digits)
    images = digits.dls.valid.one_batch()[0]
    assert sorted(found.inputs[0].shape) == sorted(images.shape)
    assert found.total_parameters == sum(p.numel() for p in digits.model.parameters())
    assert sum(row.own_parameters for row in found.rows) == found.total_parameters
    assert found.rows[-1].output_shape == (len(images), len(digits.dls.vocab))


def test_a_shape_stands_in_for_the_batch(digits: Learner) -> None:
    assert summary(digits, input_shape=(2, 3, 32, 32)).inputs[0].shape == (2, 3, 32, 32)


def test_columns_of_a_table_are_taken_as_they_come(table: Learner) -> None:
    found = summary(table)
    assert len(found.inputs) == 2
    assert found.multiply_accumulates
