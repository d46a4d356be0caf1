"""A plan as a PyTorch model, nested as the names of its steps are, and its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from .plans import INPUT, Plan, State, Step
from .torch_steps import made


class Run(NamedTuple):
    """One thing that a container does: what is called, what it reads, and what that makes."""

    call: Callable[..., Any]
    reads: tuple[str, ...]
    makes: tuple[str, ...]


class Leaf(NamedTuple):
    step: Step
    module: nn.Module | None
    how: Callable[..., Any] | None

    def __call__(self, *x: torch.Tensor) -> Any:
        if self.module is None:
            assert self.how is not None
            return self.how(*x)
        return self.module(*x) if self.how is None else self.how(self.module, *x)


class Container(nn.Module):
    """Runs its steps and its containers one after the other."""

    def __init__(self, reads: Sequence[str], returns: Sequence[str]) -> None:
        super().__init__()
        self._runs: list[Run] = []
        self._reads, self._returns = tuple(reads), tuple(returns)

    def forward(self, *x: Any) -> Any:
        values = dict(zip(self._reads, x, strict=True))
        for run in self._runs:
            result = run.call(*(values[name] for name in run.reads))
            values.update(zip(run.makes, result if len(run.makes) > 1 else (result,), strict=True))
        returned = tuple(values[name] for name in self._returns)
        return returned if len(returned) > 1 else returned[0]


class Torch(NamedTuple):
    """A model, and each of its steps by itself."""

    plan: Plan
    model: nn.Module
    leaves: dict[str, Leaf]

    def values(self, x: Any = None) -> dict[str, torch.Tensor]:
        """What each step returns in a free run."""
        values = {INPUT: self.x() if x is None else x}
        with torch.no_grad():
            for name, leaf in self.leaves.items():
                values[name] = leaf(*(values[one] for one in leaf.step.inputs))
        return values

    def given(self, name: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
        """What one step returns, given these values."""
        leaf = self.leaves[name]
        with torch.no_grad():
            return leaf(*(self.cast(values[one]) for one in leaf.step.inputs))  # type: ignore[no-any-return]

    def cast(self, value: torch.Tensor) -> torch.Tensor:
        return value.to(self.dtype) if value.is_floating_point() else value

    @property
    def dtype(self) -> torch.dtype:
        return next((one.dtype for one in self.model.parameters()), torch.float32)

    def x(self) -> torch.Tensor:
        return self.cast(torch.tensor(self.plan.x))

    def output(self) -> torch.Tensor:
        with torch.no_grad():
            return self.model(self.x()).float()  # type: ignore[no-any-return]


def in_torch(plan: Plan, state: State | None = None, dtype: torch.dtype = torch.float32) -> Torch:
    """Build it, with these weights."""
    values, leaves = {INPUT: torch.tensor(plan.x)}, {}
    with torch.no_grad():
        for step in plan.steps:
            read = [values[name] for name in step.inputs]
            leaf = Leaf(step, *made(step, *read))
            if leaf.module is not None:
                leaf.module.eval()
                if state is not None and step.name in state:
                    load(leaf.module, state[step.name])
                leaf.module.to(dtype)
            leaves[step.name] = leaf
            if dtype != torch.float32:
                read = [value.to(dtype) if value.is_floating_point() else value for value in read]
            values[step.name] = leaf(*read)
    tied(leaves)
    model = container(list(leaves.values()), "", (INPUT,), (plan.output,))
    return Torch(plan, model.eval(), leaves)


def load(module: nn.Module, values: dict[str, Any]) -> None:
    """Give a module those of its weights that there are, and are of its form."""
    own = module.state_dict()
    with torch.no_grad():
        for name, value in values.items():
            if name in own and own[name].shape == value.shape:
                own[name].copy_(torch.tensor(value))


def tied(leaves: dict[str, Leaf]) -> None:
    for leaf in leaves.values():
        if (source := leaf.step.get("tied")) and leaf.module is not None:
            leaf.module.weight = leaves[source].module.weight  # type: ignore[union-attr]


def container(leaves: list[Leaf], prefix: str, reads: Sequence[str], returns: Sequence[str]) -> nn.Module:
    """The container of these steps; what has a further name in common is a container in it."""
    groups: list[tuple[str, list[Leaf]]] = []
    for leaf in leaves:
        head = leaf.step.name[len(prefix) :].split(".")[0]
        if groups and groups[-1][0] == head:
            groups[-1][1].append(leaf)
        else:
            groups.append((head, [leaf]))
    if len({head for head, _ in groups}) < len(groups):
        raise ValueError(f"the steps of one container stand apart: {[head for head, _ in groups]}")
    made, modules = Container(reads, returns), True
    for place, (head, inside) in enumerate(groups):
        run, module = _run(
            head, inside, prefix, returns, [leaf for _, group in groups[place + 1 :] for leaf in group]
        )
        made._runs.append(run)
        if module is not None:
            made.add_module(head, module)
        modules &= run.call is module and len(run.reads) == 1
    return _sequential(made) if modules and _is_chain(made) else made


def _run(
    head: str, inside: list[Leaf], prefix: str, returns: Sequence[str], later: list[Leaf]
) -> tuple[Run, nn.Module | None]:
    first = inside[0]
    if first.step.name == prefix + head:
        is_module = first.module is not None and first.how is None
        return Run(first.module if is_module else first, first.step.inputs, (first.step.name,)), first.module  # type: ignore[arg-type]
    names = {leaf.step.name for leaf in inside}
    reads = tuple(dict.fromkeys(one for leaf in inside for one in leaf.step.inputs if one not in names))
    wanted = {one for leaf in later for one in leaf.step.inputs} | set(returns)
    makes = tuple(leaf.step.name for leaf in inside if leaf.step.name in wanted)
    module = container(inside, f"{prefix}{head}.", reads, makes)
    return Run(module, reads, makes), module


def _is_chain(made: Container) -> bool:
    places = [made._reads, *(run.makes for run in made._runs)]
    return all(run.reads == before for run, before in zip(made._runs, places, strict=False)) and (
        made._returns == places[-1]
    )


def _sequential(made: Container) -> nn.Sequential:
    sequential = nn.Sequential()
    for name, module in made.named_children():
        sequential.add_module(name, module)
    return sequential


def weights_of(plan: Plan, seed: int = 0) -> State:
    """Weights at which every part of the plan counts, and statistics near those of the input."""
    torch.manual_seed(seed)
    built = in_torch(plan)
    generator = torch.Generator().manual_seed(seed)
    for leaf in built.leaves.values():
        if leaf.module is not None:
            _make_lively(leaf.module, generator)
    values = {INPUT: built.x()}
    with torch.no_grad():
        for name, leaf in built.leaves.items():
            if isinstance(leaf.module, nn.modules.batchnorm._BatchNorm) and leaf.module.track_running_stats:
                _take_statistics(leaf.module, values[leaf.step.inputs[0]], generator)
            values[name] = leaf(*(values[one] for one in leaf.step.inputs))
    return state_of(built)


def state_of(built: Torch) -> State:
    return {
        name: {
            key: value.numpy().copy()
            for key, value in leaf.module.state_dict().items()
            if "num_batches" not in key
        }
        for name, leaf in built.leaves.items()
        if leaf.module is not None and leaf.module.state_dict()
    }


def _make_lively(module: nn.Module, generator: torch.Generator) -> None:
    for name, tensor in module.named_parameters():
        numbers = torch.rand(tensor.shape, generator=generator)
        if "bias" in name:
            tensor.data = 0.4 * numbers - 0.2
        elif tensor.ndim == 1:
            tensor.data = 0.6 + 0.8 * numbers
        elif name == "table":
            tensor.data = numbers - 0.5
        elif not isinstance(module, nn.Embedding):
            tensor.data *= 2.2  # PyTorch's own are small for a deep network


def _take_statistics(norm: Any, x: torch.Tensor, generator: torch.Generator) -> None:
    axes = [n for n in range(x.ndim) if n != 1]
    spread = x.var(axes) + 1e-3 if x.numel() > x.shape[1] else torch.ones(x.shape[1])
    norm.running_mean.copy_(x.mean(axes) + 0.3 * (torch.rand(x.shape[1], generator=generator) - 0.5))
    norm.running_var.copy_(spread * (0.6 + 0.9 * torch.rand(x.shape[1], generator=generator)))


def copied(state: State) -> State:
    return copy.deepcopy(state)
