"""Reduces tensors by channel on the device on which they lie, and brings what comes of it over in one go."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch

from netviz_core.backend_api import Binning, Reduced

from .tensors import NATIVE_TO_NUMPY, as_it_lies, dtype_name

_MOMENTS, _COUNTS = 4, 4


class Reductions:
    """What has been reduced and not yet been read; the first who reads waits for all of it."""

    def __init__(self) -> None:
        self._waiting: list[_OfOne] = []

    def add(self, tensor: torch.Tensor, channel: int | None, binning: Binning) -> _OfOne:
        """Reduce one more tensor, without waiting for it."""
        with torch._C._DisableTorchDispatch(), torch.no_grad():  # no operation of the model's
            one = _OfOne(self, *_reduced(tensor, channel, binning))
        self._waiting.append(one)
        return one

    def read(self) -> None:
        """Bring over what is waiting: of each device, the moments at once, and the counts."""
        by_device: dict[torch.device, list[_OfOne]] = defaultdict(list)
        for one in self._waiting:
            by_device[one.counts.device].append(one)
        self._waiting = []
        for some in by_device.values():
            moments = torch.cat([one.moments for one in some]).cpu().numpy().astype(np.float64)
            counts = torch.cat([one.counts for one in some]).cpu().numpy()
            for one in some:
                one.found = moments[: len(one.moments)], counts[: len(one.counts)]
                moments, counts = moments[len(one.moments) :], counts[len(one.counts) :]


class _OfOne:
    """A `netviz_core.backend_api.ReducedLater`."""

    def __init__(self, reductions: Reductions, moments: torch.Tensor, counts: torch.Tensor) -> None:
        self._reductions = reductions
        self.moments, self.counts = moments, counts
        self.found: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None = None

    def get(self) -> Reduced:
        """See `netviz_core.backend_api.ReducedLater`."""
        if self.found is None:
            self._reductions.read()
        assert self.found is not None
        moments, counts = self.found
        channels = len(moments) // _MOMENTS
        by_channel, histogram = np.split(counts, [_COUNTS * channels])
        count, zeros, nonfinite, nans = by_channel.reshape(_COUNTS, -1)
        mean, variance, minimum, maximum = moments.reshape(_MOMENTS, -1)
        return Reduced(count, zeros, nonfinite, nans, mean, variance, minimum, maximum, histogram)


class Shown:
    """A tensor's present value, to be read, or reduced where it lies, before anything else runs."""

    def __init__(self, tensor: torch.Tensor, reductions: Reductions) -> None:
        self._tensor = tensor
        self._reductions = reductions

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return tuple(self._tensor.shape)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value, which is not to be kept."""
        with torch._C._DisableTorchDispatch():
            return as_it_lies(self._tensor)

    def reduce(self, channel: int | None, binning: Binning) -> _OfOne:
        """See `netviz_core.backend_api.ReducibleValue`."""
        return self._reductions.add(self._tensor, channel, binning)


def is_better_there(tensor: torch.Tensor) -> bool:
    """Whether a tensor is better reduced where it lies: on the CPU, NumPy is as near, and faster."""
    return tensor.device.type not in ("cpu", "meta") and can_be_reduced(tensor)


def can_be_reduced(tensor: torch.Tensor) -> bool:
    """Whether a tensor with memory is plain real numbers, each in a place of its own."""
    is_plain = tensor.dtype in NATIVE_TO_NUMPY or (
        tensor.is_floating_point() and "float4" not in dtype_name(tensor.dtype)
    )
    return (
        is_plain
        and not tensor.is_complex()
        and tensor.numel() > 0
        and all(stride or length == 1 for stride, length in zip(tensor.stride(), tensor.shape, strict=True))
    )


def _reduced(
    tensor: torch.Tensor, channel: int | None, binning: Binning
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean, variance and extremes of each channel; counts of each channel, and of the bins."""
    values = tensor.detach().resolve_neg()
    if values.is_floating_point() and values.dtype not in NATIVE_TO_NUMPY:
        values = values.to(torch.float32)
    values = values[None]  # else there might be no axis to reduce
    numbers = values.to(torch.float32 if values.device.type == "mps" else torch.float64)
    over = [axis for axis in range(values.ndim) if channel is None or axis != channel + 1]
    finite = torch.isfinite(numbers)
    count = finite.sum(over, keepdim=True)
    share = torch.where(finite, numbers, 0) / count  # before the sum, which might overflow
    mean = share.sum(over, keepdim=True)
    spread = torch.where(finite, numbers - mean, 0).square_().sum(over, keepdim=True) / count
    unknown = torch.where(count > 0, 0.0, torch.nan)
    minimum = torch.where(finite, numbers, torch.inf).amin(over, keepdim=True) + unknown
    maximum = torch.where(finite, numbers, -torch.inf).amax(over, keepdim=True) + unknown
    constant = minimum == maximum
    moments = [torch.where(constant, minimum, mean), torch.where(constant, 0, spread), minimum, maximum]
    zeros, nans = (numbers == 0).sum(over, keepdim=True), torch.isnan(numbers).sum(over, keepdim=True)
    everything = numbers.numel() // count.numel()
    counts = [count, zeros, everything - count, nans]
    return (
        torch.cat([one.flatten().to(numbers.dtype) for one in moments]),
        torch.cat([*(one.flatten() for one in counts), _binned(values, binning)]),
    )


def _binned(values: torch.Tensor, binning: Binning) -> torch.Tensor:
    """How many finite values of an even sample lie in each bin."""
    strides = values.stride()
    order = sorted(range(values.ndim), key=lambda axis: -strides[axis])
    sample = values.permute(order).reshape(-1)[:: binning.stride]
    finite = torch.isfinite(sample)
    bits = sample.to(torch.float32).view(torch.int32)
    places = ((bits & 0x7FFFFFFF) >> binning.shift).clamp(binning.first - 1, binning.last - 1)
    middle = binning.last - binning.first
    places = places.long() - (binning.first - 1)
    places = torch.where(bits < 0, middle - places, middle + places)
    found = torch.zeros(2 * middle + 1, dtype=torch.int64, device=values.device)
    return found.scatter_add_(0, places, finite.long())
