"""Which place of which picture of which sample a value belongs to, followed through a PyTorch model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv


def grad_cam(model, inputs, target, seen, fold):
    """Grad-CAM by its definition, of what the model kept under `seen`, folded to (map, channel, y, x)."""
    output = model(*inputs)
    value = getattr(model, seen)
    (gradient,) = torch.autograd.grad(output[:, target].sum(), value)
    value, gradient = fold(value.detach()), fold(gradient)
    return (gradient.mean((2, 3), keepdim=True) * value).sum(1).clamp(min=0).numpy()


class Net(nn.Module):
    """Patches of a convolution, and whatever `middle` makes of them before a norm that is kept."""

    def __init__(self, middle, width=8):
        super().__init__()
        self.patch, self.norm, self.head = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(width), nn.Linear(width, 3)
        self.extra = nn.Parameter(torch.randn(1, 4, 8))
        self.middle, self.mix = middle, nn.Linear(24, 24)

    def forward(self, x):
        self.seen = self.norm(self.middle(self, self.patch(x)))
        return self.head(self.seen.flatten(1, -2).mean(1)).view(len(x), -1, 3).mean(1)


def tokens(maps):
    return maps.flatten(2).mT


def windows(net, maps):
    """Windows of 2 × 2, folded into the batch."""
    b, c, h, w = maps.shape
    return maps.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, c)


def of_windows(value):
    return value.view(2, 2, 3, 2, 2, 8).permute(0, 5, 1, 3, 2, 4).reshape(2, 8, 4, 6)


def grouped(net, maps):
    """Four heads of queries look at two of keys."""
    heads = tokens(maps).unflatten(-1, (4, 2)).transpose(1, 2)
    shared = heads[:, :2]
    looked = nn.functional.scaled_dot_product_attention(
        heads, shared, shared, is_causal=True, enable_gqa=True
    )
    return looked.transpose(1, 2).flatten(2)


def merged(net, maps):
    maps = maps.permute(0, 2, 3, 1)
    return torch.cat([maps[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1).flatten(1, 2)


def extra(net, maps, first=0, last=4):
    return net.extra[:, first:last].expand(len(maps), -1, -1)


def grid(value):
    return value.mT.reshape(2, -1, 4, 6)


MODELS = {
    "before": (lambda net, m: torch.cat([extra(net, m), tokens(m)], 1), lambda v: grid(v[:, 4:])),
    "behind": (lambda net, m: torch.cat([tokens(m), extra(net, m)], 1), lambda v: grid(v[:, :24])),
    "around": (
        lambda net, m: torch.cat([extra(net, m, 0, 1), tokens(m), extra(net, m, 1)], 1),
        lambda v: grid(v[:, 1:25]),
    ),
    "upright": (
        lambda net, m: m.transpose(2, 3).flatten(2).mT,
        lambda v: v.view(2, 6, 4, 8).permute(0, 3, 2, 1),
    ),
    "shuffled": (lambda net, m: tokens(m).flip(1), lambda v: grid(v.flip(1))),
    "rolled": (
        lambda net, m: m.roll((1, 2), (2, 3)).permute(0, 2, 3, 1),
        lambda v: v.roll((-1, -2), (1, 2)).permute(0, 3, 1, 2),
    ),
    "padded": (
        lambda net, m: nn.functional.pad(m, (1, 1, 0, 2)).permute(0, 2, 3, 1),
        lambda v: v[:, :4, 1:7].permute(0, 3, 1, 2),
    ),
    "attending": (lambda net, m: tokens(m) + (tokens(m) @ m.flatten(2)).softmax(-1) @ tokens(m), grid),
    "fused": (lambda net, m: nn.functional.scaled_dot_product_attention(*[tokens(m)] * 3), grid),
    "grouped": (grouped, grid),
    "mixed": (lambda net, m: tokens(m) + net.mix(tokens(m).mT).mT, grid),
    "windows": (windows, of_windows),
    "merged": (merged, lambda v: v.mT.reshape(2, -1, 2, 3)),
}


@pytest.mark.parametrize("name", MODELS)
def test_tokens_lie_where_they_were_made(name):
    middle, fold = MODELS[name]
    torch.manual_seed(0)
    model, x = Net(middle, 32 if name == "merged" else 8).eval(), torch.randn(2, 3, 16, 24)
    view = nv.cam(model, x, "norm", 1)
    np.testing.assert_allclose(view.maps, grad_cam(model, (x,), 1, "seen", fold), atol=1e-6)
    assert view.images.shape == (2, 16, 24, 3)
    swapped = nv.cam(model, x[[1, 0]], "norm", 1)
    np.testing.assert_allclose(swapped.maps, view.maps[[1, 0]], atol=1e-6)


class Views(nn.Module):
    """Looks at several pictures of each sample, folded into the batch in one of two orders."""

    def __init__(self, is_view_first=False):
        super().__init__()
        self.cnn, self.fc = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), nn.Linear(8, 4)
        self.is_view_first = is_view_first

    def forward(self, x):
        n, views = x.shape[:2]
        folded = x.transpose(0, 1).flatten(0, 1) if self.is_view_first else x.flatten(0, 1)
        self.seen = self.cnn(folded)
        scores = self.fc(self.seen.mean((2, 3)))
        return scores.view(views, n, -1).mean(0) if self.is_view_first else scores.view(n, views, -1).mean(1)


@pytest.mark.parametrize("is_view_first", [False, True])
def test_each_view_of_a_sample_has_a_map(is_view_first):
    torch.manual_seed(0)
    model, x = Views(is_view_first).eval(), torch.randn(2, 3, 3, 8, 8)
    sorted_ = (
        (lambda v: v.view(3, 2, *v.shape[1:]).transpose(0, 1).flatten(0, 1))
        if is_view_first
        else (lambda v: v)
    )
    view = nv.cam(model, x, "cnn", 1)
    np.testing.assert_allclose(view.maps, grad_cam(model, (x,), 1, "seen", sorted_), atol=1e-6)
    assert view.captions == ("1 · 0", "1 · 1", "1 · 2") * 2
    grid = nv.feature_maps(model, "cnn", x, sample=1)
    np.testing.assert_allclose(grid.tiles, sorted_(model.seen.detach())[3:].flatten(0, 1), atol=1e-6)
    assert grid.tile_label == "entry × channel"
    with pytest.raises(nv.InputError, match="6 entries for 2 samples"):
        nv.feature_maps(nv.capture(model, x, "cnn"), "cnn", sample=1)


class Two(nn.Module):
    """Two pictures: each with a branch of its own, and what is made of both."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 3, padding=1)
        self.both, self.gate, self.head = nn.Conv2d(8, 8, 1), nn.Identity(), nn.Linear(16, 2)

    def forward(self, left, right):
        a, b = self.left(left), self.right(right)
        gated = self.gate(a * b.mean((2, 3), keepdim=True).sigmoid())
        return self.head(torch.cat([self.both(a + b).mean((2, 3)), gated.mean((2, 3))], 1))


def test_a_map_lies_over_the_picture_that_its_layer_looks_at():
    left, right = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    shown = {
        layer: nv.cam(Two().eval(), (left, right), layer, 0).images
        for layer in ("left", "right", "gate", "both")
    }
    assert [shown[layer].max() for layer in ("left", "right", "gate")] == [0, 1, 0]
    assert shown["both"] is None


def test_pictures_folded_into_one_batch_have_each_their_own_map():
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.cnn, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(16, 2)

        def forward(self, left, right):
            self.seen = self.cnn(torch.cat([left, right]))
            return self.head(torch.cat(self.seen.mean((2, 3)).chunk(2), 1))

    model, left, right = Siamese().eval(), torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    view = nv.cam(model, (left, right), "cnn", 0)
    assert [image.max() for image in view.images] == [0, 1, 0, 1]
    maps = grad_cam(model, (left, right), 0, "seen", lambda v: v)
    np.testing.assert_allclose(view.maps, maps[[0, 2, 1, 3]], atol=1e-6)


def test_places_are_known_where_the_model_makes_a_map_itself():
    model = nn.Sequential(
        nn.Linear(5, 16), nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 2)
    )
    view = nv.cam(model.eval(), torch.randn(2, 5), "2", 0)
    assert view.maps.shape == (2, 2, 2)
    assert view.images is None


@pytest.mark.parametrize(("rank", "shape"), [(1, (2, 1, 8)), (3, (8, 8, 8))])
def test_signals_and_slices_have_maps(rank, shape):
    conv, pool = getattr(nn, f"Conv{rank}d"), getattr(nn, f"AdaptiveAvgPool{rank}d")
    model = nn.Sequential(conv(2, 4, 3, padding=1), pool(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    x = torch.randn(2, 2, *[8] * rank) if rank == 1 else torch.randn(2, 2, 4, 8, 8)
    view = nv.cam(model, x, None, 1)
    values = model[0](x).detach()
    weights = (model[3].weight[1] / values[0, 0].numel()).detach()
    maps = torch.einsum("c,bc...->b...", weights, values).clamp(min=0).reshape(shape)
    np.testing.assert_allclose(view.maps, maps, atol=1e-6)


def test_scores_that_are_not_of_the_samples_are_refused():
    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)

        def forward(self, x):
            return [{"scores": one[:2]} for one in self.conv(x).mean(1).flatten(1)]

    with pytest.raises(nv.InputError, match="2 entries, all of sample 0 for 2 samples"):
        nv.cam(Detector().eval(), torch.rand(2, 3, 8, 8), output="0.scores", target=0)


def test_text_has_no_places_on_the_image():
    class ImageAndText(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch, self.embed = nn.Conv2d(3, 8, 4, 4), nn.Embedding(20, 8)
            self.look, self.read = (nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))

        def forward(self, pixels, words):
            image, text = tokens(self.patch(pixels)), self.embed(words)
            return self.look(image, image, image)[0].mean(1) @ self.read(text, text, text)[0].mean(1).mT

    model, x = ImageAndText().eval(), (torch.rand(1, 3, 16, 16), torch.randint(0, 20, (1, 16)))
    assert nv.attention(model, "read", x).grid is None
    np.testing.assert_array_equal(nv.attention(model, "look", x).grid.index, np.arange(16).reshape(4, 4))


def test_the_last_layer_that_has_a_map_is_looked_at():
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.act, self.head = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(8, 3)
            self.after = nn.Sequential(*[nn.Identity() for _ in range(40)])

        def forward(self, x):  # the one activation runs on the maps, and on their averages
            unused = self.after(self.conv(x))
            return self.head(self.act(self.act(self.conv(x)).mean((2, 3)))) + 0 * unused.mean()

    assert nv.cam(Again().eval(), torch.rand(1, 3, 8, 8), target=1).layer == "act"


def test_a_model_that_gives_the_same_of_any_image_is_said_to():
    """Such as an untrained one whose last weights are all zero: no earlier layer would help."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval()
    nn.init.zeros_(model[3].weight)
    with pytest.raises(nv.InputError, match=r"from '0' to '1' .* as where the last weights are all zero"):
        nv.cam(model, torch.rand(1, 3, 8, 8))
    with pytest.raises(nv.InputError, match="choose an earlier layer"):
        nv.cam(model, torch.rand(1, 3, 8, 8), "1")


def test_heads_that_share_keys_of_a_text_are_followed():
    class Grouped(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.shared = nn.Linear(16, 16), nn.Linear(16, 8)

        def forward(self, x):
            query, shared = (
                layer(x).unflatten(-1, (-1, 4)).transpose(1, 2) for layer in (self.query, self.shared)
            )
            return nn.functional.scaled_dot_product_attention(
                query, shared, shared, is_causal=True, enable_gqa=True
            )

    with pytest.raises(nv.AxisError, match="places"):
        nv.cam(Grouped().eval(), torch.randn(2, 5, 16))
