"""Networks of timm, one of many families, with random weights and the smallest pictures that they take."""

from __future__ import annotations

from functools import partial

import timm
import torch

from .recipe import Architecture

SIDES = {
    32: """
        beit_base_patch16_224 botnet26t_256 cait_xxs24_224 coat_tiny coatnet_pico_rw_224 convit_tiny
        convmixer_768_32 convnext_atto cs3darknet_focus_s darknet17 davit_tiny
        deit_tiny_distilled_patch16_224 densenet121 dla46_c dpn48b edgenext_xx_small efficientformerv2_s0
        efficientnet_lite0 efficientvit_b0 efficientvit_m0 eva02_tiny_patch14_224 fasternet_t0 fastvit_t8
        focalnet_tiny_srf gcvit_xxtiny ghostnet_050 hardcorenas_a hgnetv2_b0 hiera_tiny_224
        hrnet_w18_small inception_next_atto lcnet_035 levit_128s mambaout_femto maxvit_rmlp_pico_rw_256
        poolformerv2_s12 caformer_s18 mixer_s32_224 gmlp_ti16_224 resmlp_12_224 mobilenetv3_small_050
        mobilenetv4_conv_small mobilevit_xxs mobilevitv2_050 mvitv2_tiny nest_tiny nextvit_small nfnet_f0
        eca_nfnet_l0 pit_ti_224 pnasnet5large pvt_v2_b0 rdnet_tiny regnetx_002 repghostnet_050 repvgg_a0
        repvit_m0_9 res2net50_14w_8s resnest14d resnet10t resnetv2_50 rexnet_100 selecsls42
        legacy_seresnet18 sequencer2d_s shvit_s1 skresnet18 starnet_s1 swiftformer_xs
        swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_ns_224 tiny_vit_5m_224
        tnt_s_patch16_224 tresnet_m twins_svt_small vgg11 visformer_tiny vit_tiny_patch16_224
        vit_small_patch16_rope_224 vit_relpos_small_patch16_224 samvit_base_patch16 vitamin_small_224
        volo_d1_224 vovnet39a xception41 xcit_nano_12_p16_224
    """,
    96: """
        inception_resnet_v2 inception_v4
    """,
    224: """
        efficientformer_l1
    """,
    256: """
        halonet26t
    """,
}
"""Names by the side of the smallest pictures that they take."""


def _network(name: str, side: int) -> torch.nn.Module:
    torch.manual_seed(0)
    try:
        return timm.create_model(name, pretrained=False, num_classes=5, img_size=side).eval()
    except TypeError:  # one that takes pictures of any size
        return timm.create_model(name, pretrained=False, num_classes=5).eval()


def _pictures(side: int, count: int) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


IMAGE = [
    Architecture(f"timm {name}", partial(_network, name, side), partial(_pictures, side))
    for side, names in SIDES.items()
    for name in names.split()
]
