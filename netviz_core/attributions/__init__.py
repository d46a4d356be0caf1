"""What a model looked at: class activation maps, attention, and the examples it got most wrong.

The order of arguments, here and in `netviz_core.feature_maps`. The model comes first, the most needed argument after
it, and what can be left out last:

- ``feature_maps(model, layer, x)``: a layer is always needed; of a capture or a model with data of its own, `x` is not.
- ``attention(model, layer, x)``: the same; the layer may be None where there is only one.
- ``cam(model, x, layer)``: an input is always needed, as for `netviz_core.capture`; the layer finds itself.
- ``top_losses(model, k, data)``: as in fastai; a Learner brings data and loss.

Arguments in another order are refused in one sentence, and by name they may come in any.
"""
