"""The examples with the highest loss: found in one reading, from any form of data, with any loss."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.attributions.losses import losses_of, verdicts
from netviz_core.testing.reference import Dense, Model, example_model

random = np.random.default_rng(0)
X = random.normal(size=(150, 1, 8, 8))
Y = random.integers(0, 10, size=150)


def losses(model: Model) -> np.ndarray:
    scores = model(X)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return -np.log((exponentials / exponentials.sum(axis=1, keepdims=True))[np.arange(len(X)), Y])


def test_the_worst_are_those_of_the_whole_data():
    model = example_model()
    worst = nv.top_losses(model, 7, (X, Y), "cross_entropy")
    expected = np.argsort(-losses(model), kind="stable")[:7]
    assert [row.index for row in worst.rows] == expected.tolist()
    np.testing.assert_allclose([row.loss for row in worst.rows], losses(model)[expected])
    assert worst.count == 150


def test_each_row_says_what_it_was_taken_for():
    model = example_model()
    names = [f"class {number}" for number in range(10)]
    row = nv.top_losses(model, 1, (X, Y), "cross_entropy", names=names).rows[0]
    scores = model(X)[row.index]
    assert row.prediction == f"class {scores.argmax()}"
    assert row.actual == f"class {Y[row.index]}"
    assert row.probability == pytest.approx(np.exp(-row.loss))


def test_the_map_over_an_image_is_that_of_its_predicted_class():
    model = example_model()
    worst = nv.top_losses(model, 2, (X, Y), "cross_entropy")
    for heat, row in zip(worst.heat, worst.rows, strict=True):
        single = nv.cam(model, X[[row.index]], target=int(row.prediction))
        np.testing.assert_allclose(heat, single.heat[0], atol=1e-6)
    assert nv.top_losses(model, 2, (X, Y), "cross_entropy", heatmap=False).heat is None


def test_confusions_count_the_pairs():
    model = example_model()
    found = model(X).argmax(axis=1)
    confusions = nv.top_losses(model, 1, (X, Y), "cross_entropy", heatmap=False).confusions
    assert sum(times for _, _, times in confusions) == (found != Y).sum()
    assert [times for *_, times in confusions] == sorted((t for *_, t in confusions), reverse=True)
    actual, predicted, times = confusions[0]
    assert times == ((int(actual) == Y) & (found == int(predicted))).sum()


class Sequence:
    """What a Keras PyDataset looks like."""

    def __len__(self):
        return 3

    def __getitem__(self, number):
        chosen = slice(50 * number, 50 * number + 50)
        return X[chosen], Y[chosen]


@pytest.mark.parametrize(
    "data",
    [
        (nv.AxisArray(X.transpose(0, 2, 3, 1), ("batch", "y", "x", "channel")), Y),
        [(X[:149], Y[:149]), (X[149:], Y[149:])],
        [[X[:60], Y[:60], np.ones(60)], [X[60:], Y[60:], np.ones(90)]],
        Sequence(),
        (X, np.eye(10)[Y]),
    ],
    ids=["axes", "uneven batches", "with weights", "sequence", "one-hot"],
)
def test_every_form_of_data_gives_the_same(data):
    expected = nv.top_losses(example_model(), 5, (X, Y), "cross_entropy")
    found = nv.top_losses(example_model(), 5, data, "cross_entropy")
    assert [row.index for row in found.rows] == [row.index for row in expected.rows]
    np.testing.assert_allclose(found.heat, expected.heat, atol=1e-6)


def test_a_generator_is_read_once_and_only_k_examples_are_held():
    class Batch(np.ndarray):
        """An array that can be referred to weakly."""

    alive: list[weakref.ref] = []

    def batches():
        for start in range(0, 150, 10):
            gc.collect()
            assert sum(reference() is not None for reference in alive) <= 1
            batch = X[start : start + 10].copy().view(Batch)
            alive.append(weakref.ref(batch))
            yield batch, Y[start : start + 10]

    assert nv.top_losses(example_model(), 3, batches(), "cross_entropy").count == 150
    assert len(alive) == 15


def test_a_loss_that_is_not_a_number_is_the_worst():
    x = X.copy()
    x[77] = np.nan
    worst = nv.top_losses(example_model(), 2, (x, Y), "cross_entropy", heatmap=False)
    assert worst.rows[0].index == 77
    assert np.isnan(worst.rows[0].loss)


def test_images_of_several_sizes_are_put_into_one_frame():
    class Anywhere(Dense):
        def __call__(self, x):
            return super().__call__(x.mean(axis=(2, 3)))

        def pull_back(self, gradient, x):
            return np.broadcast_to(
                (gradient @ self.parameters["kernel"])[..., None, None] / x[0, 0].size, x.shape
            )

    model = example_model()
    model.layers["dense1"] = Anywhere(kernel=random.normal(size=(10, 4)), bias=np.zeros(10))
    data = [(random.normal(size=(2, 1, 8, 10)), [0, 1]), (random.normal(size=(2, 1, 12, 6)), [2, 3])]
    worst = nv.top_losses(model, 4, data, "cross_entropy")
    assert worst.images.shape == (4, 12, 10, 3)
    assert worst.heat.shape == (4, 12, 10)


def table_model() -> Model:
    example_model()
    return Model(dense=Dense(kernel=random.normal(size=(1, 12)), bias=np.zeros(1)))


def test_rows_of_a_table_are_told_in_numbers():
    table, wanted = random.normal(size=(30, 12)), random.normal(size=30)
    model = table_model()
    worst = nv.top_losses(model, 3, (table, wanted), "mean_squared_error")
    row = worst.rows[0]
    assert row.loss == pytest.approx(((model(table)[:, 0] - wanted) ** 2).max())
    assert row.text.startswith(f"{table[row.index, 0]:.4g}, ")
    assert row.text.endswith(", …")
    assert row.probability is None
    assert worst.images is None
    assert worst.confusions == ()


def test_a_single_score_is_that_of_the_second_class():
    table = random.normal(size=(30, 12))
    wanted = random.integers(0, 2, size=30)
    model = table_model()
    scores = model(table)[:, 0]
    worst = nv.top_losses(model, 30, (table, wanted), "binary_cross_entropy_with_logits", names=["no", "yes"])
    for row in worst.rows:
        assert row.prediction == ("yes" if scores[row.index] > 0 else "no")
        assert row.probability == pytest.approx(np.exp(-row.loss))


@pytest.mark.parametrize("size", [1, 30])
def test_how_a_binary_score_is_read_does_not_depend_on_the_batches(size):
    table = random.normal(size=(30, 12))
    wanted = random.integers(0, 2, size=30)
    model = table_model()
    scores = model(table)[:, 0]
    assert ((scores > 0) & (scores < 1)).any()  # which alone might be taken for probabilities
    batches = [(table[at : at + size], wanted[at : at + size]) for at in range(0, 30, size)]
    worst = nv.top_losses(model, 30, batches, "binary_cross_entropy_with_logits")
    expected = np.logaddexp(0, np.where(wanted == 1, -scores, scores))
    for row in worst.rows:
        assert row.loss == pytest.approx(expected[row.index])
    with pytest.raises(nv.InputError, match="give loss='binary_cross_entropy_with_logits'"):
        nv.top_losses(model, 30, (table, wanted), "binary_cross_entropy")


def test_cross_entropy_by_name_knows_no_pixels():
    pixels = np.ones((2, 4, 4, 3))
    with pytest.raises(
        nv.InputError, match=r"outputs \(batch, class\), and the model returned \(2, 4, 4, 3\)"
    ):
        losses_of(nv.wrap(example_model()), "cross_entropy", pixels, pixels)


def test_the_loss_of_probabilities_is_that_of_the_scores_behind_them():
    network = nv.wrap(example_model())
    scores = random.normal(size=(6, 10))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    by_scores, by_shares = (losses_of(network, "cross_entropy", array, Y[:6]) for array in (scores, shares))
    np.testing.assert_allclose(by_scores.values, by_shares.values, rtol=1e-6)
    assert (by_scores.reads, by_shares.reads) == ("logits", "probabilities")


@pytest.mark.parametrize(
    ("data", "given", "text"),
    [
        (None, {}, "no data of its own"),
        ([], {}, "has no batch"),
        ((X[:0], Y[:0]), {}, "has no batch"),
        (X, {}, "a ndarray alone"),
        ([X], {}, "batch 0 of the data is a ndarray alone"),
        ([{"pixels": X}], {}, "a mapping with 'pixels'"),
        ((X, Y[:3]), {}, "the same number of samples"),
        ((X, Y + 1), {}, "class 10; the model's classes are 0 … 9"),
        ((X, np.array(["a"] * 150)), {}, "targets of strings"),
        (5, {}, "5 was given as data"),
        ((X, Y), {"k": 0}, "k=0"),
        ((X, Y), {"loss": "hinge"}, "'cross_entropy'"),
        ((X, Y), {"loss": "mean_squared_error"}, "one number for each"),
        ((X, Y), {"output": "aux"}, "no part 'aux'"),
    ],
)
def test_what_cannot_be_done_is_said(data, given, text):
    with pytest.raises(nv.InputError, match=text):
        nv.top_losses(example_model(), **{"k": 3, "data": data, "loss": "cross_entropy", **given})


def test_a_map_that_cannot_be_made_is_said_and_the_rest_is_kept():
    with pytest.warns(UserWarning, match="no maps are laid over the images: the output of layer 'dense1'"):
        worst = nv.top_losses(example_model(), 2, (X, Y), "cross_entropy", layer="dense1")
    assert worst.heat is None
    assert worst.images.shape == (2, 8, 8, 3)


@pytest.mark.parametrize("given", [{"layer": "conv9"}, {"method": "gradcam"}])
def test_a_wrong_name_is_said_before_the_data_is_read(given):
    def unread():
        raise AssertionError("the data was read")
        yield

    with pytest.raises((nv.LayerNotFoundError, nv.InputError), match="did you mean"):
        nv.top_losses(example_model(), 2, unread(), "cross_entropy", **given)


def test_where_scores_are_nan_nothing_is_predicted():
    x, y = np.random.default_rng(0).normal(size=(2, 1, 8, 8)), np.zeros(2, int)
    x[1] = np.nan
    found = nv.top_losses(example_model(), 2, (x, y), "cross_entropy")
    assert (found.rows[0].index, found.rows[0].prediction, found.rows[0].actual) == (1, "NaN", "0")
    assert (
        verdicts("binary_probabilities", np.full((1, 3), np.nan), np.zeros((1, 3)), None)[0].prediction
        == "NaN"
    )
    with pytest.raises(nv.InputError, match="a score of sample 1 is NaN"):
        nv.cam(example_model(), x, "conv1", method="eigen-cam")


@pytest.mark.parametrize("names", [["cat", "dog"], [str(n) for n in range(11)]])
def test_names_of_another_number_than_the_classes_are_refused(names):
    x, y = np.random.default_rng(0).normal(size=(20, 1, 8, 8)), np.arange(20) % 10
    with pytest.raises(nv.InputError, match=f"{len(names)} names were given for 10 classes"):
        nv.top_losses(nv.testing.example_model(), 3, (x, y), "cross_entropy", names=names)


def test_the_worst_are_printed_as_a_table():
    found = nv.top_losses(example_model(), 2, (X, np.arange(len(X)) % 10), "cross_entropy", progress=False)
    said, titles, _, first, *_ = str(found).splitlines()
    assert said == "the 2 highest losses of 150 samples"
    assert titles.split() == ["sample", "loss", "predicted", "actual"]
    assert first.split() == [
        str(found.rows[0].index),
        f"{found.rows[0].loss:.4g}",
        found.rows[0].prediction,
        found.rows[0].actual,
    ]
    assert "\n" not in repr(found)
