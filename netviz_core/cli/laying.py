"""The commands that lay two models side by side, each as thin as its Python call."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from ..words.errors import InputError
from . import forms, options
from .inputs import as_expected, batched, read_input, read_targets
from .models import open_model, open_model_or_capture
from .outputs import check_output, tell
from .running import failures_located
from .saying import busy, is_talkative, note


def compare_models(
    a: options.ModelOrCapture,
    b: options.ModelOrCapture,
    data: options.InputOfBoth = None,
    input_of_b: options.InputOfB = None,
    output: options.Reports = None,
    pair: options.Pairs = None,
    tolerance: options.Tolerance = None,
    targets: options.Targets = None,
    loss: options.Loss = None,
    axes: options.Axes = None,
    names: options.Names = None,
    other_head: options.OtherHead = False,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Say where two models differ, and why; exit with 1 if they do, or cannot be said to agree.

    So it does where one of the two alone ends in a softmax or sigmoid, unless --other-head accepts that.

    They may be of different frameworks, saved captures, or files of weights. With a loss and targets their
    gradients are compared, too.
    """
    # Here, since no other command compares, and the rooms of a comparison take a while to import.
    from ..comparing.compared import compare

    outputs = output or []
    for path in outputs:
        check_output(path, forms.COMPARISON)
    mapping, wanted = _mapping_of(pair or []), read_targets(targets)
    _require_two(names)
    if input_of_b is not None and data is None:
        raise InputError("--input-b says what b sees; say with --input what a sees")
    x = read_input(data, axes)
    for_b = x if input_of_b is None else read_input(input_of_b, axes)
    model_a, model_b = open_model_or_capture(a, trust=trust), open_model_or_capture(b, trust=trust)
    with failures_located(model_a, model_b):
        given = as_expected(model_a, x, data), as_expected(model_b, for_b, input_of_b or data)
        both = x if given[0] is given[1] else given
        found = compare(
            model_a,
            model_b,
            both,
            mapping or None,
            tolerance=tolerance,
            loss=loss,
            targets=wanted,
            names=names,
            graphs=any(path.suffix.lower() == ".html" for path in outputs),
            progress=is_talkative(),
        )
    tell(found, forms.COMPARISON, outputs, as_json, found)
    if found.agrees and found.heads and not other_head:
        told = f"what the two return is not the same: {'; '.join(found.heads)}; --other-head accepts that"
        note(told, err=True)
        raise typer.Exit(1)
    if not found.agrees:
        raise typer.Exit(1)


def tell_similarity(
    a: options.ModelOrCapture,
    b: options.ModelOrCapture,
    data: options.InputOfBoth = None,
    input_of_b: options.InputOfB = None,
    output: options.Answers = None,
    layers: options.Layers = None,
    axes: options.Axes = None,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Say which layers of two models have learnt the same, also where the models were trained apart."""
    # Here, as few ask for it.
    from ..measures.similarity import similarity

    outputs = output or []
    for path in outputs:
        check_output(path, forms.SIMILARITY)
    if input_of_b is not None and data is None:
        raise InputError("--input-b says what b sees; say with --input what a sees")
    x = read_input(data, axes)
    for_b = x if input_of_b is None else read_input(input_of_b, axes)
    models = open_model_or_capture(a, trust=trust), open_model_or_capture(b, trust=trust)
    with failures_located(*models):
        sides = as_expected(models[0], x, data), as_expected(models[1], for_b, input_of_b or data)
        both = None if x is None else tuple(map(batched, sides))
        found = similarity(*models, data=both, layers=layers or None, progress=is_talkative())
    tell(found, forms.SIMILARITY, outputs, as_json, found)


def give_weights(
    a: options.Model,
    b: options.Model,
    output: options.WeightsFile,
    pair: options.Pairs = None,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Give model b the weights of model a, across frameworks, and write them as the framework of b reads them."""
    # Here, as few ask for it.
    from ..models.transfer import copy_weights

    mapping = _mapping_of(pair or [])
    source, target = open_model(a, trust=trust), open_model(b, trust=trust)
    check_output(output, target.weight_suffixes, is_drawn=False)
    with busy("copy-weights"):
        found = copy_weights(source, target, mapping or None)
        target.save_weights(output)
    tell(found, forms.TRANSFER, (), as_json)
    note(f"wrote {output}", err=as_json)


def _mapping_of(pairs: Iterable[str]) -> dict[str, str]:
    """From ``A=B`` to a mapping; an `InputError` if there is no ``=``."""
    found = {}
    for pair in pairs:
        a, separator, b = pair.partition("=")
        if not (a and separator and b):
            raise InputError(
                f"--pair {pair!r} names no two layers; give A=B, such as --pair conv1=features.0"
            )
        found[a] = b
    return found


def _require_two(names: tuple[str, str] | None) -> None:
    if names is not None and (
        names[0] == names[1] or any(not name or name.startswith("-") for name in names)
    ):
        raise InputError(
            f"--names {' '.join(map(repr, names))} names no two models; give two names, such as --names teacher port"
        )
