"""Networks of transformers, of two small layers with random weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import transformers

from .recipe import Architecture

SIZES = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "attn_implementation": "eager",
}
"""What nearly every configuration calls these."""

PICTURES = {"image_size": 32, "patch_size": 8, "num_labels": 5, **SIZES}
NAMES_OF_OLD = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "n_inner": 48}
SEQUENCES = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "decoder_start_token_id": 1,
}
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
STAGES = {
    "depths": [1, 2],
    "num_heads": [2, 4],
    "embed_dim": 16,
    "window_size": 4,
    "patch_size": 2,
    "image_size": 32,
    "num_labels": 5,
}

TEXTS = {
    "Albert": {"embedding_size": 16},
    "Bart": SEQUENCES,
    "Bert": {},
    "BioGpt": {},
    "Bloom": NAMES_OF_OLD,
    "CodeGen": {**NAMES_OF_OLD, "rotary_dim": 4},
    "Cohere": GROUPED,
    "Deberta": {},
    "DebertaV2": {},
    "DistilBert": {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4},
    "Electra": {"embedding_size": 16},
    "FNet": {},
    "Falcon": {},
    "Gemma": GROUPED,
    "Gemma2": GROUPED,
    "GPT2": NAMES_OF_OLD,
    "GPTBigCode": NAMES_OF_OLD,
    "GPTNeoX": {},
    "GPTJ": {**NAMES_OF_OLD, "rotary_dim": 4},
    "GptOss": {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2},
    "Llama": GROUPED,
    "M2M100": SEQUENCES,
    "Mamba": {"state_size": 4},
    "MBart": SEQUENCES,
    "MegatronBert": {},
    "Mistral": GROUPED,
    "Mixtral": {**GROUPED, "num_local_experts": 4},
    "ModernBert": {},
    "MPNet": {},
    "Nystromformer": {"num_landmarks": 4, "segment_means_seq_len": 12},
    "Olmo2": GROUPED,
    "OPT": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "Phi": GROUPED,
    "Qwen2": GROUPED,
    "Qwen3": GROUPED,
    "Roberta": {},
    "RoFormer": {"embedding_size": 32},
    "SqueezeBert": {"embedding_size": 32},
    "StableLm": GROUPED,
    "T5": {
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 48,
        "num_layers": 2,
        "num_heads": 4,
        "decoder_start_token_id": 0,
    },
    "XLMRoberta": {},
}
"""Of those that read tokens, what their configuration has beside `SIZES`."""

VISION = {
    "Beit": {},
    "ConvNext": {"hidden_sizes": [8, 16], "depths": [1, 2], "num_stages": 2},
    "ConvNextV2": {"hidden_sizes": [8, 16], "depths": [1, 2], "num_stages": 2},
    "Data2VecVision": {},
    "DeiT": {},
    "Dinov2": {},
    "Dinov2WithRegisters": {},
    "FocalNet": {"embed_dim": 16, "depths": [1, 1], "focal_levels": [2, 2], "focal_windows": [3, 3]},
    "MobileViT": {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 64]},
    "PoolFormer": {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]},
    "PvtV2": {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 4]},
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    "Segformer": {
        "hidden_sizes": [8, 16, 16, 16],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 2, 2, 4],
    },
    "SwiftFormer": {"embed_dims": [8, 16, 16, 32], "depths": [1, 1, 1, 1]},
    "ViT": {},
    "ViTMSN": {},
}
"""Of those that look at pictures."""

STAGED = {
    "Bit": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "num_groups": 4, "num_labels": 5},
    "DonutSwin": STAGES,
    "Hiera": {
        "embed_dim": 16,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "num_query_pool": 1,
        "image_size": [32, 32],
        "num_labels": 5,
    },
    "RegNet": {
        "embedding_size": 8,
        "hidden_sizes": [8, 16],
        "depths": [1, 1],
        "groups_width": 4,
        "num_labels": 5,
    },
    "Swin": STAGES,
    "Swinv2": STAGES,
}
"""Of those that name their stages and call nothing as the others do."""


def _text(name: str) -> torch.nn.Module:
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **TEXTS[name]})
    return getattr(transformers, f"{name}Model")(config).eval()


def _classifier(name: str, sizes: dict[str, Any]) -> torch.nn.Module:
    config = getattr(transformers, f"{name}Config")(**sizes)
    return getattr(transformers, f"{name}ForImageClassification")(config).eval()


def _tokens(count: int, decodes: bool) -> dict[str, torch.Tensor]:
    tokens = torch.randint(3, 99, (count, 12), generator=torch.Generator().manual_seed(count))
    return {"input_ids": tokens, **({"decoder_input_ids": tokens[:, :5]} if decodes else {})}


def _pictures(count: int) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(count))}


TEXT = [
    Architecture(
        f"transformers {name}",
        partial(_text, name),
        partial(_tokens, decodes=extra is SEQUENCES or name == "T5"),
    )
    for name, extra in TEXTS.items()
]
IMAGE = [
    *(
        Architecture(f"transformers {name}", partial(_classifier, name, {**PICTURES, **extra}), _pictures)
        for name, extra in VISION.items()
    ),
    *(
        Architecture(f"transformers {name}", partial(_classifier, name, sizes), _pictures)
        for name, sizes in STAGED.items()
    ),
]
