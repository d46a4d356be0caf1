"""Statistics spread over a cluster of two processes are those of a single pass."""

from __future__ import annotations

import distributed
import numpy as np
import torch
from torch import nn

import netviz_core as nv


def test_a_cluster_gives_the_statistics_of_a_single_pass():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(288, 5)
    )
    batches = [torch.randn(7, 3, 8, 8) for _ in range(40)] + [torch.randn(3, 3, 8, 8)]
    expected = nv.statistics(model, batches)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = nv.statistics(model, iter(batches), executor=client.get_executor())
    assert found.batch_count == 41
    for key, layer in expected.items():
        ours = found[key].channels
        for name in ("count", "zero_count", "nonfinite_count", "minimum", "maximum"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(layer.channels, name))
        np.testing.assert_array_equal(found[key].histogram, layer.histogram)
        np.testing.assert_allclose(ours.mean, layer.channels.mean, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(ours.variance, layer.channels.variance, rtol=1e-6)
