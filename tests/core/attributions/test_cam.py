"""Class activation maps: the maths, what is asked of the output, and what cannot be asked."""

from __future__ import annotations

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.attributions.questions import Question
from netviz_core.testing.reference import Conv2d, Dense, Model, example_model
from netviz_core.views.overlays import displayed, resized
from netviz_core.words.arrays import AxisArray


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, 1, 8, 8))


def parts(model: Model, x: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Activations of the convolution, and the gradient of one score, which is linear in them."""
    activations = model.layers["conv1"](x)
    kernel = model.layers["dense1"].parameters["kernel"][target]
    return activations, np.broadcast_to(kernel.reshape(1, *activations.shape[1:]), activations.shape)


def test_grad_cam_is_its_published_definition(images):
    model = example_model()
    activations, gradients = parts(model, images, 3)
    expected = np.einsum("bc,bcyx->byx", gradients.mean(axis=(2, 3)), activations).clip(min=0)
    view = nv.cam(model, images, target=3)
    np.testing.assert_allclose(view.maps, expected, rtol=1e-5, atol=1e-6)
    assert (view.layer, view.target, view.method) == ("conv1", (3, 3, 3), "grad-cam")


def test_grad_cam_plus_plus_is_its_published_definition(images):
    model = example_model()
    activations, gradients = parts(model, images, 3)
    maps = []
    for a, g in zip(activations, gradients, strict=True):
        alpha = g**2 / (2 * g**2 + a.sum(axis=(1, 2))[:, None, None] * g**3)
        weights = (alpha * g.clip(min=0)).sum(axis=(1, 2))
        maps.append(np.tensordot(weights, a, 1).clip(min=0))
    np.testing.assert_allclose(nv.cam(model, images, target=3, method="grad-cam++").maps, maps, rtol=1e-4)


def test_layer_cam_is_its_published_definition(images):
    model = example_model()
    activations, gradients = parts(model, images, 3)
    expected = (gradients.clip(min=0) * activations).sum(axis=1).clip(min=0)
    np.testing.assert_allclose(nv.cam(model, images, target=3, method="layer-cam").maps, expected, rtol=1e-4)


def test_eigen_cam_projects_on_the_first_singular_vector(images):
    activations = example_model().layers["conv1"](images)
    for found, a in zip(nv.cam(example_model(), images, method="eigen-cam").maps, activations, strict=True):
        places = a.reshape(len(a), -1).T
        values, vectors = np.linalg.eigh(places.T @ places)
        expected = (places @ vectors[:, values.argmax()]).reshape(a.shape[1:])
        expected *= np.sign(expected.sum())
        np.testing.assert_allclose(found, expected.clip(min=0), rtol=1e-3, atol=1e-4)


class Average(Dense):
    """A dense layer behind a global average."""

    def __call__(self, x):
        return super().__call__(x.mean(axis=(2, 3)))

    def pull_back(self, gradient, x):
        averaged = (gradient @ self.parameters["kernel"])[..., None, None]
        return np.broadcast_to(averaged / np.prod(x.shape[2:]), x.shape)


def pooled_model() -> Model:
    random = np.random.default_rng(2)
    model = example_model()
    model.layers["dense1"] = Average(kernel=random.normal(size=(5, 4)), bias=random.normal(size=5))
    return model


def test_cam_is_grad_cam_times_the_number_of_places_behind_an_average(images):
    """Selvaraju et al., section 3.1."""
    by_weights, by_gradients = (
        nv.cam(pooled_model(), images, target=2, method=m) for m in ("cam", "grad-cam")
    )
    np.testing.assert_allclose(by_weights.maps, 36 * by_gradients.maps, rtol=1e-4, atol=1e-5)
    assert by_weights.maps.any()


def test_cam_refuses_a_head_that_is_not_behind_an_average(images):
    with pytest.raises(nv.UnsupportedError, match="global average pool"):
        nv.cam(example_model(), images, method="cam")


def test_the_heat_is_of_the_size_of_the_images_and_in_zero_to_one(images):
    view = nv.cam(example_model(), images)
    assert view.heat.shape == (3, 8, 8)
    assert view.images.shape == (3, 8, 8, 3)
    assert view.heat.min() >= 0
    assert view.heat.max() <= 1
    np.testing.assert_array_equal(view.maps.max(axis=(1, 2)) > 0, view.heat.max(axis=(1, 2)) == 1)


def test_by_default_each_sample_is_asked_about_its_own_best_class(images):
    model = example_model()
    assert nv.cam(model, images).target == tuple(model(images).argmax(axis=1))


def test_several_targets_of_several_samples(images):
    view = nv.cam(example_model(), images, target=[[0, 1], [2], [3, 4]])
    assert view.target == (0, 1, 2, 3, 4)
    single = nv.cam(example_model(), images[2:], target=[3, 4])
    assert single.target == (3, 4)
    np.testing.assert_allclose(view.maps[3:], single.maps)
    np.testing.assert_array_equal(view.images[3], view.images[4])


def test_one_target_for_each_sample(images):
    view = nv.cam(example_model(), images, target=np.array([5, 1, 1]))
    assert view.target == (5, 1, 1)
    np.testing.assert_allclose(view.maps[1:], nv.cam(example_model(), images[1:], target=1).maps)


def test_a_model_that_looks_at_the_upper_left_quarter_has_its_heat_there(images):
    model = example_model()
    quarter = np.zeros((4, 6, 6))
    quarter[:, :3, :3] = np.abs(np.random.default_rng(0).normal(size=(4, 3, 3)))
    model.layers["conv1"].parameters["kernel"][:] = np.abs(model.layers["conv1"].parameters["kernel"])
    model.layers["dense1"].parameters["kernel"][7] = quarter.reshape(-1)
    heat = nv.cam(model, np.abs(images), target=7, method="layer-cam").heat
    assert heat[:, :4, :4].sum() > 0.9 * heat.sum()


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++", "layer-cam"])
def test_another_head_gives_another_map(images, method):
    model = example_model()
    before = nv.cam(model, images, target=3, method=method).maps
    head = model.layers["dense1"].parameters["kernel"]
    np.random.default_rng(5).shuffle(head.reshape(-1))
    assert not np.allclose(before, nv.cam(model, images, target=3, method=method).maps, rtol=0.05)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"target": 10}, nv.InputError, "classes are 0 … 9"),
        ({"target": -1}, nv.InputError, "classes are 0 … 9"),
        ({"target": 1.5}, nv.InputError, "target"),
        ({"target": "cat"}, nv.InputError, "give an index"),
        ({"target": [1, 2]}, nv.InputError, "2 targets were given for 3 samples"),
        ({"target": [1, [], 2]}, nv.InputError, "no target was given for sample 1"),
        (
            {"x": np.full((3, 1, 8, 8), np.nan, "float32"), "method": "eigen-cam", "target": 0},
            nv.InputError,
            "returned NaN",
        ),
        ({"x": np.full((3, 1, 8, 8), np.nan, "float32")}, nv.InputError, "score of sample 0 is NaN"),
        ({"method": "gradcam"}, nv.InputError, "did you mean 'grad-cam'"),
        ({"layer": "dense1"}, nv.AxisError, "no places on an image"),
        ({"layer": "conv2"}, nv.LayerNotFoundError, "did you mean 'conv1'"),
        ({"output": "logits"}, nv.InputError, "no part 'logits'"),
    ],
)
def test_what_cannot_be_asked_is_said(images, given, error, text):
    with pytest.raises(error, match=text):
        nv.cam(example_model(), **{"x": images} | given)


def test_no_input_and_no_data_is_said():
    with pytest.raises(nv.InputError, match="no input was given"):
        nv.cam(example_model())


def test_a_score_that_does_not_depend_on_the_layer_is_said(images):
    model = example_model()
    model.layers["dense1"].parameters["kernel"][:] = 0
    with pytest.raises(nv.InputError, match="does not depend on what layer 'conv1'"):
        nv.cam(model, images, layer="conv1")


def test_a_backend_without_gradients_is_said(images, monkeypatch):
    from netviz_core.testing.reference import ReferenceBackend

    monkeypatch.delattr(ReferenceBackend, "gradients")
    with pytest.raises(nv.UnsupportedError, match="no gradients; method='eigen-cam'"):
        nv.cam(example_model(), images)
    assert nv.cam(example_model(), images, method="eigen-cam").heat.any()


def test_maps_of_two_convolutions_belong_to_the_later_one_by_default(images):
    random = np.random.default_rng(3)
    example_model()
    model = Model(
        conv1=Conv2d(kernel=random.normal(size=(4, 1, 3, 3)), bias=np.zeros(4)),
        conv2=Conv2d(kernel=random.normal(size=(2, 4, 3, 3)), bias=np.zeros(2)),
        dense=Dense(kernel=random.normal(size=(3, 32)), bias=np.zeros(3)),
    )
    assert nv.cam(model, images).layer == "conv2"
    early = nv.cam(model, images, "conv1", target=0)
    assert early.maps.shape == (3, 6, 6)


class Scores(Conv2d):
    """Two classes for each pixel."""


def test_a_segmentation_is_asked_about_a_mask(images):
    random = np.random.default_rng(3)
    example_model()
    model = Model(
        conv1=Conv2d(kernel=random.normal(size=(4, 1, 3, 3)), bias=np.zeros(4)),
        scores=Scores(kernel=random.normal(size=(2, 4, 1, 1)), bias=np.zeros(2)),
    )
    mask = np.zeros((6, 6))
    mask[:2, :2] = 1
    view = nv.cam(model, images, "conv1", target=1, mask=mask, method="layer-cam")
    assert view.maps[:, 2:].max() == 0
    assert view.maps[:, :2, :2].any()
    everywhere = nv.cam(model, images, "conv1", target=1, method="layer-cam")
    best = model(images).argmax(axis=1) == 1
    assert not everywhere.maps[~best].any()
    with pytest.raises(nv.InputError, match="mask of shape"):
        nv.cam(model, images, "conv1", target=1, mask=np.ones((3, 3)))
    with pytest.raises(nv.InputError, match="mask without any pixel"):
        nv.cam(model, images, "conv1", target=1, mask=np.zeros((6, 6)))


def test_by_default_a_segmentation_is_asked_about_the_class_of_most_pixels(images):
    # Class 0 has the highest sum, and 1 is best at all pixels but one.
    values = np.stack([np.full((6, 6), -1.0), np.zeros((6, 6))])[np.newaxis]
    values[0, 0, 2, 3] = 1000
    scores = AxisArray(values, ("batch", "channel", "y", "x"))
    mask = np.zeros((6, 6))
    mask[2] = 1
    assert Question(None, None, None, None).targets(scores) == [[1]]
    assert Question(None, mask, None, None).targets(scores) == [[0]]
    with pytest.raises(nv.InputError, match="the input has no samples"):
        Question(None, None, None, None).targets(AxisArray(values[:0], scores.axes))
    values[0, 0, 2, 3] = -1
    with pytest.raises(nv.InputError, match="class 0 scores highest at no pixel"):
        Question(0, None, None, None).seed(scores, [0])


def test_images_are_shown_in_their_own_colours():
    def grey(values: np.ndarray) -> np.ndarray:
        return displayed(nv.AxisArray(values, ("batch", "y", "x")))[0, ..., 0]

    ramp = np.array([[0, 51], [102, 255]])
    np.testing.assert_allclose(grey(ramp[None].astype("uint8")), ramp / 255)
    np.testing.assert_allclose(grey(ramp[None].astype("float32")), ramp / 255)
    np.testing.assert_allclose(grey(ramp[None] / 510), ramp / 510)
    np.testing.assert_allclose(grey(ramp[None] / 51.0 - 2), ramp / 255, atol=1e-6)


def test_maps_are_enlarged_linearly_between_the_middles_of_pixels():
    maps = np.random.default_rng(0).normal(size=(2, 3, 5))
    large = resized(maps, 9, 15)
    np.testing.assert_allclose(large[:, 1::3, 1::3], maps)
    np.testing.assert_allclose(resized(maps, 3, 5), maps)


def test_a_map_that_is_not_finite_is_not_passed_off_as_cold(images):
    images[1, 0, 2, 2] = np.nan
    heat = nv.cam(example_model(), images, target=3).heat
    assert np.isnan(heat[1]).all()
    assert np.isfinite(heat[[0, 2]]).all()


DIGIT = np.linspace(0, 1, 12).reshape(1, 3, 4)


@pytest.mark.parametrize(
    "values",
    [
        DIGIT,
        DIGIT * 1.02,
        DIGIT * 1.02 - 0.01,
        DIGIT * 16,
        DIGIT * 2 - 1,
        DIGIT * 255,
        (DIGIT * 255).astype("uint8"),
        (DIGIT * 255).astype("int64"),
        (DIGIT * 16).round().astype("int32"),
        (DIGIT * 65535).astype("uint16"),
        (DIGIT * 4095).astype("uint16"),
    ],
    ids="unit bright overshooting sixteen signed byte uint8 int64 few-levels uint16 twelve-bits".split(),
)
def test_pictures_of_any_range_are_seen(values):
    shown = displayed(nv.AxisArray(values, ("batch", "y", "x")))[0, ..., 0]
    np.testing.assert_allclose(shown, DIGIT[0], atol=0.05)


def test_one_bright_pixel_does_not_make_all_others_black():
    values = np.random.default_rng(0).random((1, 20, 20))
    values[0, 0, 0] = 1.2
    shown = displayed(nv.AxisArray(values, ("batch", "y", "x")))[0, ..., 0]
    np.testing.assert_allclose(shown, np.minimum(values[0], 1), atol=1e-6)
