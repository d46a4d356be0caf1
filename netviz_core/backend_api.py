"""The door for authors of backends: all that a backend needs of netviz, and all that it may rely on.

What is behind this door, behind `netviz_core.renderer_api`, in ``netviz_core.__all__`` and in `netviz_core.testing`
is kept from one minor version to the next, or deprecated for one first. Anything else may change without notice.

The contracts are the protocols: `Backend` (four methods), `Layer` and `WeightTensor`, and the opt-in protocols
named ``Supports…``, of which a backend has those whose methods it has. A backend tells a `Recorder` of what layers
returned, as `Observation`; `netviz_core.testing.ReferenceBackend` is the smallest that there is.
"""

from .captures.capture import Capture
from .captures.recorder import Recorder, Slot
from .measures.training import TrainingHistory, TrainingWatch
from .models.weights import Layout, Weight, by_name, positional_layout, widened
from .plugins import get_backend, register_backend
from .words.arrays import SPATIAL_AXES, Activation, AxisArray, canonical_axes, positional_axes
from .words.errors import (
    AmbiguousKeyError,
    AxisError,
    BackendConflictError,
    BackendLoadError,
    CaptureError,
    CaptureTooLargeError,
    FileFormatError,
    InputError,
    LayerNotFoundError,
    NetvizError,
    UnknownModelError,
    UnsupportedError,
    as_integer,
    nearest,
)
from .words.given import shown
from .words.observations import Coverage, HeldValue, Observation, Ready, blank
from .words.operations import OPERATIONS, OUTPUT, word_for
from .words.protocols import KINDS, Backend, Layer, LayerSelection, RecorderLike, WeightTensor
from .words.structure import leaves, replaced
from .words.supports import (
    LossReading,
    ParameterForm,
    Seed,
    SupportsAttention,
    SupportsBuild,
    SupportsDemo,
    SupportsGradients,
    SupportsGraph,
    SupportsImages,
    SupportsInputForms,
    SupportsLosses,
    SupportsNesting,
    SupportsOwnData,
    SupportsParameterCount,
    SupportsParameterForms,
    SupportsRandomness,
    SupportsTensors,
    SupportsWeightGradients,
    TensorForm,
    TracedCall,
)

__all__ = [
    "KINDS",
    "OPERATIONS",
    "OUTPUT",
    "SPATIAL_AXES",
    "Activation",
    "AmbiguousKeyError",
    "AxisArray",
    "AxisError",
    "Backend",
    "BackendConflictError",
    "BackendLoadError",
    "Capture",
    "CaptureError",
    "CaptureTooLargeError",
    "Coverage",
    "FileFormatError",
    "HeldValue",
    "InputError",
    "Layer",
    "LayerNotFoundError",
    "LayerSelection",
    "Layout",
    "LossReading",
    "NetvizError",
    "Observation",
    "ParameterForm",
    "Ready",
    "Recorder",
    "RecorderLike",
    "Seed",
    "Slot",
    "SupportsAttention",
    "SupportsBuild",
    "SupportsDemo",
    "SupportsGradients",
    "SupportsGraph",
    "SupportsImages",
    "SupportsInputForms",
    "SupportsLosses",
    "SupportsNesting",
    "SupportsOwnData",
    "SupportsParameterCount",
    "SupportsParameterForms",
    "SupportsRandomness",
    "SupportsTensors",
    "SupportsWeightGradients",
    "TensorForm",
    "TracedCall",
    "TrainingHistory",
    "TrainingWatch",
    "UnknownModelError",
    "UnsupportedError",
    "Weight",
    "WeightTensor",
    "as_integer",
    "blank",
    "by_name",
    "canonical_axes",
    "get_backend",
    "leaves",
    "nearest",
    "positional_axes",
    "positional_layout",
    "register_backend",
    "replaced",
    "shown",
    "widened",
    "word_for",
]
