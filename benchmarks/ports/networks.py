"""The families of networks from which ports are made, each of some 5 to 60 layers."""

from __future__ import annotations

from .plans import Draft, Maker, Plan, pictures, sequences, tokens, vectors


def mlp(depth: int = 4, width: int = 24, act: str = "relu") -> Plan:
    add = Draft("mlp", vectors(12))
    for n in range(depth):
        add(f"fc{n}", "dense", units=width)
        add(f"act{n}", "act", kind=act)
        if n % 2:
            add(f"drop{n}", "dropout")
    add("head", "dense", units=5)
    return add.plan()


def cnn(depth: int = 3, size: int = 16, act: str = "leaky_relu", flat: bool = True) -> Plan:
    add = Draft("cnn", pictures(size))
    for n in range(depth):
        add(f"conv{n}", "conv", filters=8 + 2 * n, padding=1, stride=2 if n == 1 else 1, bias=n == 0)
        add(f"bn{n}", "bn", eps=1e-3)
        add(f"act{n}", "act", kind=act)
        if n == 0:
            add("pool", "maxpool", kernel=3, stride=2, padding=1)
    if flat:
        add("flat", "flatten")
        add("fc", "dense", units=16)
        add("fc_act", "act", kind="tanh")
    else:
        add("mean", "mean")
    add("head", "dense", units=6)
    return add.plan()


def vgg() -> Plan:
    add = Draft("cnn", pictures(16, seed=1))
    for stage, width in enumerate((8, 12)):
        for n in range(2):
            add(f"stage{stage}.conv{n}", "conv", filters=width, padding=1)
            add(f"stage{stage}.act{n}", "act", kind="relu")
        add(f"stage{stage}.pool", "maxpool", kernel=2)
    add("flat", "flatten")
    add("classifier.fc1", "dense", units=24)
    add("classifier.act", "act", kind="relu")
    add("classifier.drop", "dropout")
    add("classifier.fc2", "dense", units=5)
    return add.plan()


def _shortcut(add: Draft, x: str, name: str, width: int, stride: int, changes: bool) -> str:
    if not changes:
        return x
    add(f"{name}.down", "conv", x, filters=width, kernel=1, stride=stride, bias=False)
    return add(f"{name}.down_bn", "bn")


def resnet(blocks: int = 4, act: str = "relu") -> Plan:
    add = Draft("resnet", pictures(16))
    add("conv1", "conv", filters=8, padding=1, bias=False)
    add("bn1", "bn")
    x = add("act1", "act", kind=act)
    for n in range(blocks):
        name, width, stride = f"block{n}", 8 if n < 2 else 12, 2 if n == 2 else 1
        short = _shortcut(add, x, name, width, stride, n == 2)
        add(f"{name}.conv1", "conv", x, filters=width, padding=1, stride=stride, bias=False)
        add(f"{name}.bn1", "bn")
        add(f"{name}.act1", "act", kind=act)
        add(f"{name}.conv2", "conv", filters=width, padding=1, bias=False)
        add(f"{name}.bn2", "bn")
        add(f"{name}.add", "add", f"{name}.bn2", short)
        x = add(f"{name}.act2", "act", kind=act)
    add("mean", "mean")
    add("fc", "dense", units=6)
    return add.plan()


def unet(upsample: bool = False) -> Plan:
    add = Draft("unet", pictures(16))
    kept = []
    for n, width in enumerate((6, 8)):
        add(f"down{n}.conv", "conv", filters=width, padding=1)
        add(f"down{n}.bn", "bn")
        kept.append(add(f"down{n}.act", "act", kind="relu"))
        add(f"pool{n}", "maxpool", kernel=2)
    add("mid.conv", "conv", filters=12, padding=1)
    add("mid.act", "act", kind="relu")
    for n, width in reversed(list(enumerate((6, 8)))):
        if upsample:
            add(f"up{n}.larger", "upsample", mode="bilinear")
            up = add(f"up{n}.thin", "conv", filters=width, kernel=1)
        else:
            up = add(
                f"up{n}.larger", "transposed", filters=width, kernel=3, stride=2, padding=1, output_padding=1
            )
        add(f"up{n}.cat", "concat", kept[n], up)
        add(f"up{n}.conv", "conv", filters=width, padding=1)
        add(f"up{n}.bn", "bn")
        add(f"up{n}.act", "act", kind="relu")
    add("head", "conv", filters=3, kernel=1)
    return add.plan()


def crnn(kind: str = "lstm", both: bool = True) -> Plan:
    add = Draft("crnn", pictures(16, channels=1))
    for n, width in enumerate((6, 8)):
        add(f"conv{n}", "conv", filters=width, padding=1)
        add(f"bn{n}", "bn")
        add(f"act{n}", "act", kind="relu")
        add(f"pool{n}", "maxpool", kernel=2)
    add("columns", "columns")
    add("rnn", kind, units=8, both=both)
    add("rnn2", kind, units=6, both=both)
    add("out", "dense", units=7)
    return add.plan()


def inception(blocks: int = 2) -> Plan:
    add = Draft("inception", pictures(12))
    x = add("stem", "conv", filters=8, padding=1)
    x = add("stem_act", "act", kind="relu")
    for n in range(blocks):
        ends = []
        for branch, depth in enumerate((1, 2, 3)):
            y = x
            for step in range(depth):
                size = 1 if step == 0 else 3
                add(
                    f"mix{n}.b{branch}_{step}",
                    "conv",
                    y,
                    filters=6,
                    kernel=size,
                    padding=size // 2,
                    bias=False,
                )
                add(f"mix{n}.b{branch}_{step}_bn", "bn", eps=1e-3)
                y = add(f"mix{n}.b{branch}_{step}_act", "act", kind="relu")
            ends.append(y)
        add(f"mix{n}.pool", "avgpool", x, kernel=3, stride=1, padding=1, counted=True)
        ends.append(add(f"mix{n}.pool_conv", "conv", filters=4, kernel=1))
        x = add(f"mix{n}.cat", "concat", *ends)
    add("mean", "mean")
    add("fc", "dense", units=5)
    return add.plan()


def mobile(blocks: int = 3) -> Plan:
    add = Draft("mobile", pictures(16))
    add("stem", "conv", filters=8, padding=1, stride=2, bias=False)
    add("stem_bn", "bn", eps=1e-3)
    x = add("stem_act", "act", kind="silu")
    for n in range(blocks):
        name = f"block{n}"
        add(f"{name}.expand", "conv", x, filters=16, kernel=1, bias=False)
        add(f"{name}.bn1", "bn", eps=1e-3)
        add(f"{name}.act1", "act", kind="silu")
        add(f"{name}.dw", "depthwise", padding=1, bias=False)
        add(f"{name}.bn2", "bn", eps=1e-3)
        y = add(f"{name}.act2", "act", kind="silu")
        add(f"{name}.squeeze", "mean", functional=True)
        add(f"{name}.se1", "dense", units=4)
        add(f"{name}.se_act", "act", kind="relu")
        add(f"{name}.se2", "dense", units=16)
        gate = add(f"{name}.gate", "act", kind="sigmoid")
        add(f"{name}.excite", "excite", y, gate)
        add(f"{name}.project", "conv", filters=8, kernel=1, bias=False)
        y = add(f"{name}.bn3", "bn", eps=1e-3)
        x = add(f"{name}.add", "add", y, x)
    add("mean", "mean")
    add("fc", "dense", units=5)
    return add.plan()


def densenet(layers: int = 4) -> Plan:
    add = Draft("densenet", pictures(12))
    x = add("stem", "conv", filters=8, padding=1)
    for n in range(layers):
        add(f"dense{n}.bn", "bn")
        add(f"dense{n}.act", "act", kind="relu")
        y = add(f"dense{n}.conv", "conv", filters=6, padding=1, bias=False)
        x = add(f"dense{n}.cat", "concat", x, y)
        if n == layers // 2 - 1:
            add("transition.bn", "bn")
            add("transition.act", "act", kind="relu")
            add("transition.conv", "conv", filters=8, kernel=1)
            x = add("transition.pool", "avgpool", kernel=2)
    add("bn", "bn")
    add("act", "act", kind="relu")
    add("mean", "mean")
    add("fc", "dense", units=5)
    return add.plan()


def gan() -> Plan:
    add = Draft("gan", vectors(10, count=3))
    add("project", "dense", units=8 * 4 * 4)
    add("maps", "maps", shape=(8, 4, 4))
    for n, width in enumerate((8, 6)):
        add(f"up{n}", "transposed", filters=width, kernel=4, stride=2, padding=1, bias=False)
        add(f"bn{n}", "bn")
        add(f"act{n}", "act", kind="relu")
    add("out", "conv", filters=3, padding=1)
    add("end", "act", kind="tanh")
    return add.plan()


def autoencoder() -> Plan:
    add = Draft("autoencoder", pictures(16))
    for n, width in enumerate((6, 8)):
        add(f"encoder.conv{n}", "conv", filters=width, stride=2, padding=1)
        add(f"encoder.act{n}", "act", kind="elu")
    add("encoder.flat", "flatten")
    add("encoder.code", "dense", units=10)
    add("decoder.fc", "dense", units=8 * 4 * 4)
    add("decoder.maps", "maps", shape=(8, 4, 4))
    add("decoder.up0", "upsample")
    add("decoder.conv0", "conv", filters=6, padding=1)
    add("decoder.act0", "act", kind="elu")
    add("decoder.up1", "upsample", mode="bilinear")
    add("decoder.conv1", "conv", filters=3, padding=1)
    add("decoder.end", "act", kind="sigmoid")
    return add.plan()


def tcn(blocks: int = 3) -> Plan:
    add = Draft("tcn", sequences(6, 20))
    x = add("stem", "conv", filters=8, kernel=1)
    for n in range(blocks):
        name, dilation = f"block{n}", 2**n
        add(f"{name}.pad1", "pad", x, sides=(2 * dilation, 0))
        add(f"{name}.conv1", "conv", filters=8, kernel=3, dilation=dilation)
        add(f"{name}.act1", "act", kind="relu")
        add(f"{name}.pad2", "pad", sides=(2 * dilation, 0))
        add(f"{name}.conv2", "conv", filters=8, kernel=3, dilation=dilation)
        add(f"{name}.act2", "act", kind="relu")
        add(f"{name}.drop", "dropout")
        x = add(f"{name}.add", "add", f"{name}.drop", x)
    add("head", "conv", filters=4, kernel=1)
    return add.plan()


def yolo() -> Plan:
    add = Draft("yolo", pictures(16))

    def conv(name: str, width: int, x: str, size: int = 3, stride: int = 1) -> str:
        add(
            f"{name}.conv",
            "conv",
            x,
            filters=width,
            kernel=size,
            stride=stride,
            padding=size // 2,
            bias=False,
        )
        add(f"{name}.bn", "bn", eps=1e-3)
        return add(f"{name}.act", "act", kind="silu")

    x = conv("stem", 8, "x", 3, 2)
    one, two = conv("c2f.cv1", 6, x, 1), conv("c2f.cv2", 6, x, 1)
    three = add("c2f.add", "add", one, conv("c2f.m", 6, one))
    wide = conv("c2f.cv3", 8, add("c2f.cat", "concat", one, three, two), 1)
    y = conv("sppf.cv1", 6, conv("down", 8, wide, 3, 2), 1)
    pools = [y]
    for n in range(3):
        pools.append(add(f"sppf.pool{n}", "maxpool", pools[-1], kernel=3, stride=1, padding=1))
    y = conv("sppf.cv2", 8, add("sppf.cat", "concat", *pools), 1)
    up = add("up", "upsample", y)
    y = conv("neck", 8, add("route", "concat", up, wide))
    add("head", "conv", y, filters=6, kernel=1)
    return add.plan()


def rnn(kind: str = "gru", layers: int = 2, both: bool = False, text: bool = True) -> Plan:
    add = Draft("rnn", tokens(7, 30) if text else sequences(7, 6))
    if text:
        add("embed", "embed", count=30, size=10)
    else:
        add("embed", "dense", units=10)
    for n in range(layers):
        add(f"rnn{n}", kind, units=8, both=both)
    add("last", "last", place=-1)
    add("fc", "dense", units=8)
    add("act", "act", kind="tanh")
    add("head", "dense", units=4)
    return add.plan()


FAMILIES: dict[str, Maker] = {
    "mlp": mlp, "deep mlp": lambda: mlp(10, 16, "gelu"), "cnn": cnn,
    "deep cnn": lambda: cnn(8, 16, "elu", flat=False), "vgg": vgg, "resnet": resnet,
    "deep resnet": lambda: resnet(7, "leaky_relu"), "unet": unet, "unet bilinear": lambda: unet(True), "crnn": crnn,
    "crnn gru": lambda: crnn("gru", False), "inception": inception, "mobile": mobile, "densenet": densenet,
    "gan": gan, "autoencoder": autoencoder, "tcn": tcn, "yolo": yolo, "rnn": rnn,
    "rnn lstm": lambda: rnn("lstm", 3, text=False), "birnn": lambda: rnn("lstm", 1, both=True),
}  # fmt: skip
