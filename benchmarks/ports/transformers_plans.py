"""Transformers of text and of images, as plans."""

from __future__ import annotations

from .plans import Draft, Maker, Plan, pictures, tokens

WIDTH = 16


def attention(add: Draft, name: str, x: str, norm: str = "", causal: bool = False, **settings: object) -> str:
    """Queries, keys, values, attention, and the projection of what it returns."""
    bias, kept = settings.pop("bias", True), settings.pop("kept", WIDTH)
    parts = [
        add(f"{name}.{part}", "dense", x, units=WIDTH if part == "q" else kept, bias=bias)
        for part in ("q", "k", "v")
    ]
    add(f"{name}.mix", "attend", *parts, causal=causal, **settings)
    return add(f"{name}.o", "dense", units=WIDTH, bias=bias)


def bert(blocks: int = 2, act: str = "gelu") -> Plan:
    """The norm behind the addition."""
    add = Draft("bert", tokens(7, 30))
    add("embed", "embed", count=30, size=WIDTH)
    add("positions", "positions")
    x = add("norm", "ln", eps=1e-12)
    for n in range(blocks):
        name = f"layer{n}"
        y = attention(add, f"{name}.attention", x)
        y = add(f"{name}.drop1", "dropout")
        add(f"{name}.add1", "add", x, y)
        x = add(f"{name}.norm1", "ln", eps=1e-5)
        add(f"{name}.up", "dense", units=32)
        add(f"{name}.act", "act", kind=act)
        y = add(f"{name}.down", "dense", units=WIDTH)
        add(f"{name}.add2", "add", x, y)
        x = add(f"{name}.norm2", "ln", eps=1e-5)
    add("cls", "last", place=0)
    add("pooler", "dense", units=WIDTH)
    add("pooler_act", "act", kind="tanh")
    add("head", "dense", units=3)
    return add.plan()


def gpt(blocks: int = 2) -> Plan:
    """The norm before, and attention that sees nothing of what comes."""
    add = Draft("gpt", tokens(7, 30, seed=1))
    add("embed", "embed", count=30, size=WIDTH)
    x = add("positions", "positions")
    for n in range(blocks):
        name = f"h{n}"
        y = add(f"{name}.ln1", "ln")
        y = attention(add, f"{name}.attn", y, causal=True, heads=4)
        x = add(f"{name}.add1", "add", x, y)
        add(f"{name}.ln2", "ln")
        add(f"{name}.fc", "dense", units=32)
        add(f"{name}.act", "act", kind="gelu_tanh")
        y = add(f"{name}.proj", "dense", units=WIDTH)
        x = add(f"{name}.add2", "add", x, y)
    add("ln_f", "ln")
    add("head", "dense", units=30, bias=False)
    return add.plan()


def llama(blocks: int = 2, kept: int = WIDTH // 2) -> Plan:
    """Rotary positions, RMS norms, gated units, fewer keys than queries."""
    add = Draft("llama", tokens(6, 30, seed=2))
    x = add("embed", "embed", count=30, size=WIDTH)
    for n in range(blocks):
        name = f"layers.{n}"
        y = add(f"{name}.norm1", "rms", eps=1e-5, own=True)
        y = attention(
            add,
            f"{name}.attn",
            y,
            causal=True,
            rotary="half",
            heads=4,
            kv_heads=4 * kept // WIDTH,
            bias=False,
            kept=kept,
        )
        x = add(f"{name}.add1", "add", x, y)
        y = add(f"{name}.norm2", "rms", eps=1e-5, own=True)
        up = add(f"{name}.mlp.up", "dense", y, units=24, bias=False)
        add(f"{name}.mlp.gate", "dense", y, units=24, bias=False)
        gate = add(f"{name}.mlp.act", "act", kind="silu")
        add(f"{name}.mlp.mul", "mul", gate, up)
        y = add(f"{name}.mlp.down", "dense", units=WIDTH, bias=False)
        x = add(f"{name}.add2", "add", x, y)
    add("norm", "rms", eps=1e-5, own=True)
    add("head", "dense", units=30, bias=False)
    return add.plan()


def vit(blocks: int = 2, act: str = "gelu", whole: bool = False) -> Plan:
    add = Draft("vit", pictures(16))
    add("patch", "conv", filters=WIDTH, kernel=4, stride=4)
    add("steps", "steps")
    x = add("positions", "positions")
    for n in range(blocks):
        name = f"blocks.{n}"
        y = add(f"{name}.norm1", "ln", eps=1e-6)
        y = add(f"{name}.attn", "mha", heads=2) if whole else attention(add, f"{name}.attn", y)
        x = add(f"{name}.add1", "add", x, y)
        add(f"{name}.norm2", "ln", eps=1e-6)
        add(f"{name}.fc1", "dense", units=32)
        add(f"{name}.act", "act", kind=act)
        y = add(f"{name}.fc2", "dense", units=WIDTH)
        x = add(f"{name}.add2", "add", x, y)
    add("norm", "ln", eps=1e-6)
    add("mean", "mean")
    add("head", "dense", units=5)
    return add.plan()


def swin(blocks: int = 2) -> Plan:
    add = Draft("swin", pictures(16))
    add("patch", "conv", filters=WIDTH, kernel=2, stride=2)
    x = add("steps", "steps")
    for n in range(blocks):
        name, where = f"blocks.{n}", {"side": 8, "window": 4, "shift": 2 * (n % 2)}
        add(f"{name}.norm1", "ln")
        y = add(f"{name}.cut", "windows", **where)
        attention(add, f"{name}.attn", y)
        y = add(f"{name}.join", "unwindows", **where)
        x = add(f"{name}.add1", "add", x, y)
        add(f"{name}.norm2", "ln")
        add(f"{name}.fc1", "dense", units=32)
        add(f"{name}.act", "act", kind="gelu")
        y = add(f"{name}.fc2", "dense", units=WIDTH)
        x = add(f"{name}.add2", "add", x, y)
    add("norm", "ln")
    add("mean", "mean")
    add("head", "dense", units=5)
    return add.plan()


FAMILIES: dict[str, Maker] = {
    "bert": bert, "deep bert": lambda: bert(4, "relu"), "gpt": gpt, "llama": llama, "deep llama": lambda: llama(4),
    "vit": vit, "vit with whole attention": lambda: vit(whole=True), "swin": swin,
}  # fmt: skip

NOT_IN_KERAS = ("llama", "deep llama", "swin")
