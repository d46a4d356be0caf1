"""The door for authors of backends: all that a backend needs of netviz, and all that it may rely on.

What is behind this door, behind `netviz_core.renderer_api`, in ``netviz_core.__all__`` and in `netviz_core.testing`
is kept from one minor version to the next, or deprecated for one first. Anything else may change without notice.

The contracts are the protocols: `Backend` (four methods), `Layer` and `WeightTensor`, and the opt-in protocols
named ``Supports…``, of which a backend has those whose methods it has. A backend tells a `Recorder` of what layers
returned, as `Observation`; `netviz_core.testing.ReferenceBackend` is the smallest that there is.
"""

from .attributions.losses import LOSSES
from .captures import placing
from .captures.calls import AxisBook, CallListener, CallReader, ReplacingListener, listening
from .captures.capture import Capture
from .captures.ears import Ears
from .captures.origins import Origins
from .captures.pulled import MakeListener, pull_back, telling
from .captures.recorder import Recorder, Slot
from .measures.training import TrainingHistory
from .measures.watching import TrainingWatch
from .models.checkpoint import Checkpoint, torch_recurrent_rule
from .models.hdf5_files import load_weights_h5
from .models.ready_layer import ReadyLayer
from .models.shown import ShownLayer
from .models.weights import Layout, Weight, by_name, positional_layout, widened
from .plugins import get_backend, register_backend
from .recomputing.activation import activated
from .words.alive import Book
from .words.arrays import SPATIAL_AXES, Activation, AxisArray, Scores, canonical_axes, positional_axes
from .words.decoding import decoding, reason_of
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
from .words.given import entries_of, is_array, shown
from .words.inputs import fits, remedy, require_input
from .words.observations import (
    Binning,
    Coverage,
    HeldValue,
    Observation,
    Ready,
    Reduced,
    ReducedLater,
    ReducibleValue,
    blank,
)
from .words.operations import NOT_FOLLOWED, OPERATIONS, OUTPUT, word_for
from .words.protocols import KINDS, Backend, Layer, LayerSelection, RecorderLike, WeightTensor
from .words.reshaping import Names, reshaped
from .words.restoring import Keeper
from .words.squashing import may_be_squashed, squashed_by
from .words.structure import leaves, others, replaced
from .words.supports_data import (
    LossReading,
    SupportsDemo,
    SupportsImageRange,
    SupportsImages,
    SupportsItems,
    SupportsLosses,
    SupportsOutputs,
    SupportsOwnData,
    SupportsOwnReading,
)
from .words.supports_flow import (
    Coordinate,
    Origin,
    OriginOf,
    Source,
    Stretch,
    SupportsGraph,
    SupportsOrigins,
    TensorForm,
    TracedCall,
)
from .words.supports_models import (
    ParameterForm,
    SupportsBuild,
    SupportsInputForms,
    SupportsNesting,
    SupportsParameterCount,
    SupportsParameterForms,
    SupportsRandomness,
    SupportsSaving,
    SupportsTensors,
    SupportsWeightFiles,
)
from .words.supports_passes import (
    Replacement,
    Seed,
    StandIn,
    SupportsAttention,
    SupportsGradients,
    SupportsGradientsOfWeights,
    SupportsReplacement,
    SupportsWeightGradients,
)
from .words.windows import cut_by_xla, padded

__all__ = [
    "KINDS",
    "LOSSES",
    "NOT_FOLLOWED",
    "OPERATIONS",
    "OUTPUT",
    "SPATIAL_AXES",
    "Activation",
    "AmbiguousKeyError",
    "AxisArray",
    "AxisBook",
    "AxisError",
    "Backend",
    "BackendConflictError",
    "BackendLoadError",
    "Binning",
    "Book",
    "CallListener",
    "CallReader",
    "Capture",
    "CaptureError",
    "CaptureTooLargeError",
    "Checkpoint",
    "Coordinate",
    "Coverage",
    "Ears",
    "FileFormatError",
    "HeldValue",
    "InputError",
    "Keeper",
    "Layer",
    "LayerNotFoundError",
    "LayerSelection",
    "Layout",
    "LossReading",
    "MakeListener",
    "Names",
    "NetvizError",
    "Observation",
    "Origin",
    "OriginOf",
    "Origins",
    "ParameterForm",
    "Ready",
    "ReadyLayer",
    "Recorder",
    "RecorderLike",
    "Reduced",
    "ReducedLater",
    "ReducibleValue",
    "Replacement",
    "ReplacingListener",
    "Scores",
    "Seed",
    "ShownLayer",
    "Slot",
    "Source",
    "StandIn",
    "Stretch",
    "SupportsAttention",
    "SupportsBuild",
    "SupportsDemo",
    "SupportsGradients",
    "SupportsGradientsOfWeights",
    "SupportsGraph",
    "SupportsImageRange",
    "SupportsImages",
    "SupportsInputForms",
    "SupportsItems",
    "SupportsLosses",
    "SupportsNesting",
    "SupportsOrigins",
    "SupportsOutputs",
    "SupportsOwnData",
    "SupportsOwnReading",
    "SupportsParameterCount",
    "SupportsParameterForms",
    "SupportsRandomness",
    "SupportsReplacement",
    "SupportsSaving",
    "SupportsTensors",
    "SupportsWeightFiles",
    "SupportsWeightGradients",
    "TensorForm",
    "TracedCall",
    "TrainingHistory",
    "TrainingWatch",
    "UnknownModelError",
    "UnsupportedError",
    "Weight",
    "WeightTensor",
    "activated",
    "as_integer",
    "blank",
    "by_name",
    "canonical_axes",
    "cut_by_xla",
    "decoding",
    "entries_of",
    "fits",
    "get_backend",
    "is_array",
    "leaves",
    "listening",
    "load_weights_h5",
    "may_be_squashed",
    "nearest",
    "others",
    "padded",
    "placing",
    "positional_axes",
    "positional_layout",
    "pull_back",
    "reason_of",
    "register_backend",
    "remedy",
    "replaced",
    "require_input",
    "reshaped",
    "shown",
    "squashed_by",
    "telling",
    "torch_recurrent_rule",
    "widened",
    "word_for",
]
