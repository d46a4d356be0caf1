"""Models of transformers, and the same written by hand, in PyTorch and in Keras."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch
import transformers

from .in_keras import in_keras
from .in_torch import in_torch
from .judging import Made
from .plans import Array, Plan, State
from .real import checked, lively
from .transformers_plans import WIDTH, bert, gpt, llama


def _llama() -> tuple[torch.nn.Module, Plan, State]:
    plan = llama()
    config = transformers.LlamaConfig(
        use_cache=False,
        vocab_size=30, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=24, rms_norm_eps=1e-5, tie_word_embeddings=False, attn_implementation="eager",
    )  # fmt: skip
    return _read(
        transformers.LlamaForCausalLM(config), plan,
        {
            r"model.embed_tokens": "embed", r"model.layers.(\d).input_layernorm": r"layers.\1.norm1",
            r"model.layers.(\d).self_attn.(.)_proj": r"layers.\1.attn.\2",
            r"model.layers.(\d).post_attention_layernorm": r"layers.\1.norm2",
            r"model.layers.(\d).mlp.(\w+)_proj": r"layers.\1.mlp.\2", r"model.norm": "norm", r"lm_head": "head",
        },
    )  # fmt: skip


def _gpt() -> tuple[torch.nn.Module, Plan, State]:
    plan = gpt()
    config = transformers.GPT2Config(
        use_cache=False,
        vocab_size=30, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=plan.x.shape[1], n_inner=32, bos_token_id=0,
        eos_token_id=0, attn_implementation="eager",
    )  # fmt: skip
    model, plan, state = _read(
        transformers.GPT2LMHeadModel(config), plan,
        {
            r"transformer.wte": "embed", r"transformer.wpe": "positions", r"transformer.h.(\d).ln_(\d)": r"h\1.ln\2",
            r"transformer.h.(\d).attn.c_attn": r"h\1.attn.qkv", r"transformer.h.(\d).attn.c_proj": r"h\1.attn.o",
            r"transformer.h.(\d).mlp.c_fc": r"h\1.fc", r"transformer.h.(\d).mlp.c_proj": r"h\1.proj",
            r"transformer.ln_f": "ln_f", r"lm_head": "head",
        },
    )  # fmt: skip
    for name in [name for name in state if re.search(r"attn|fc|proj", name)]:
        state[name]["weight"] = state[name]["weight"].T
    for name in [name for name in state if name.endswith("qkv")]:
        own = state.pop(name)
        for number, part in enumerate("qkv"):
            state[f"{name[:-3]}{part}"] = {key: np.split(value, 3)[number] for key, value in own.items()}
    state["positions"] = {"table": state["positions"]["weight"]}
    return model, plan, state


def _bert() -> tuple[torch.nn.Module, Plan, State]:
    plan = bert()
    plan = plan.with_step(plan["norm"].but(eps=1e-5))
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=plan.x.shape[1], layer_norm_eps=1e-5, num_labels=3, attn_implementation="eager",
    )  # fmt: skip
    layer = r"bert.encoder.layer.(\d)"
    model, plan, state = _read(
        transformers.BertForSequenceClassification(config), plan,
        {
            r"bert.embeddings.word_embeddings": "embed", r"bert.embeddings.position_embeddings": "positions",
            r"bert.embeddings.token_type_embeddings": "types", r"bert.embeddings.LayerNorm": "norm",
            rf"{layer}.attention.self.(.)\w+": r"layer\1.attention.\2",
            rf"{layer}.attention.output.dense": r"layer\1.attention.o",
            rf"{layer}.attention.output.LayerNorm": r"layer\1.norm1", rf"{layer}.intermediate.dense": r"layer\1.up",
            rf"{layer}.output.dense": r"layer\1.down", rf"{layer}.output.LayerNorm": r"layer\1.norm2",
            r"bert.pooler.dense": "pooler", r"classifier": "head",
        },
    )  # fmt: skip
    types = state.pop("types")["weight"][0]  # the same for each token: a part of the table of positions
    state["positions"] = {"table": state["positions"]["weight"] + types}
    return model, plan, state


def _read(model: torch.nn.Module, plan: Plan, names: dict[str, str]) -> tuple[torch.nn.Module, Plan, State]:
    """The weights of a model by the names of the plan."""
    state: dict[str, dict[str, Array]] = {}
    for key, value in lively(model).state_dict().items():
        path, _, weight = key.rpartition(".")
        for pattern, name in names.items():
            if re.fullmatch(pattern, path):
                state.setdefault(re.sub(pattern, name, path), {})[weight] = value.numpy().copy()
    return model, plan, state


TWINS: dict[str, Callable[[], tuple[torch.nn.Module, Plan, State]]] = {
    "Llama": _llama,
    "GPT2": _gpt,
    "BERT": _bert,
}


def twin(name: str, where: str) -> Made:
    model, plan, state = TWINS[name]()
    b = in_torch(plan, state).model if where == "torch" else in_keras(plan, state).model
    return checked(model, b, torch.tensor(plan.x) if where == "torch" else plan.x)
