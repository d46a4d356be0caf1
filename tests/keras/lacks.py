"""What Keras' engines beyond the three lack: known, with the reason, and kept true.

A test that ends in a refusal that says so itself is expected to; what else fails is listed here, and fails the suite
again once it passes.
"""

from __future__ import annotations

from collections.abc import Iterator

DECLARED = (
    "it is not known how Keras' engine",  # netviz' own sentence, of derivatives and gradients
    "not implemented for NumPy backend",  # Keras', of fit and train_on_batch
)

KNOWN_LACKS = {
    "numpy": {
        "Keras copies the arrays that a model is given, so that their axes' names are lost": (
            "captures/test_axes.py::test_axes_of_an_input_are_known_if_the_user_named_them",
            "captures/test_axes.py::test_channels_first",
            "captures/test_capture.py::test_a_flat_graph",
            "measures/test_health.py::test_an_image_keeps_its_axes",
            "recomputing/test_recomputed.py::test_axes_are_not_guessed",
            "recomputing/test_recomputed.py::test_concatenation",
            "recomputing/test_recomputed.py::test_embeddings",
            "recomputing/test_recomputed.py::test_of_images[prelu shared]",
            "recomputing/test_recomputed.py::test_of_sequences[padding]",
            "test_image_range.py::test_the_command_line_gives_an_image_as_the_model_takes_it",
        ),
        "nothing is compiled or traced, and arrays may be written to, so that no sub-model is made": (
            "captures/test_compiled.py::test_from_the_third_pass_on_nothing_runs_in_python",
            "captures/test_recording.py::test_a_function_compiled_before_runs_unheard",
            "captures/test_recording.py::test_layers_mapped_over_an_axis_are_traced",
            "captures/test_sub_model.py::TestSubModel::test_it_is_made_once",
        ),
        "no derivatives, of which the test expects to be told in other words, or by the command line": (
            "attributions/test_gradients.py::test_an_output_of_integers",
            "captures/test_recording.py::test_gradients_inside_are_the_same_as_without",
            "measures/test_callback.py::test_gradients_are_in_canonical_layout",
            "measures/test_callback.py::test_gradients_of_gates_are_ordered",
            "measures/test_callback.py::test_sample_weights_and_frozen_layers",
            "test_command_line_keras.py::TestKeras::test_cam_with_names_of_classes",
            "test_command_line_keras.py::TestKeras::test_statistics_and_health_in_json",
            "test_command_line_keras.py::TestKeras::test_top_losses",
        ),
        "Keras makes the weights of a layer of float64 in float32": (
            "models/test_weights.py::test_dtypes[float64]",
        ),
        "Keras cannot adapt an embedding of four bits": (
            "models/test_quantized.py::test_plain_numpy_computes_the_same_with_the_kernel[embedding-int4 -1-adapted]",
            "models/test_quantized.py::test_plain_numpy_computes_the_same_with_the_kernel[embedding-int4 4-adapted]",
        ),
        "NumPy adds up products of float16 in float16, so that a sum overflows on the way": (
            "measures/test_health.py::test_an_overflow_of_float16",
        ),
    },
}


def lack_of(engine: str, test: str) -> str | None:
    """Why a test, by its id, is known to fail on an engine; None if it is not."""
    for reason, tests in KNOWN_LACKS.get(engine, {}).items():
        if any(test == f"tests/keras/{name}" for name in tests):
            return reason
    return None


def told_in(error: BaseException | None) -> Iterator[str]:
    """What an error says, and those that it came from."""
    while error is not None:
        yield str(error)
        error = error.__cause__ or error.__context__
