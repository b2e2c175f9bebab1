"""AIPP, the Ascend's image preprocessing, from a manifest: pictures go in, the device does the rest.

It takes bytes, exchanges blue and red where the network wants RGB, and computes, channel by channel,
(pixel - mean_chn - min_chn) * var_reci_chn. A manifest says pixel * scale - mean, which is
(pixel - mean / scale) * scale. The result is in half precision: so it serves networks that are asked for
in fp16, and they are held to the tolerance of fp16. Neither the resize nor the crop of a face can be had
of it: where it crops is built in, and faces move.

Source: CANN, ATC guide, AIPP configuration, configuration file template (order of the steps, value
ranges: mean_chn uint8, min_chn 0..255, var_reci_chn float16), static AIPP with dynamic image sizes.
"""

from __future__ import annotations

from livegate.manifests.schema import InputTensor

GREATEST_MEAN = 255.0


def suits_aipp(spec: InputTensor) -> bool:
    """Whether AIPP can make this tensor of a picture."""
    return not spec.is_picture and all(
        scale > 0 and 0 <= mean / scale <= GREATEST_MEAN
        for scale, mean in zip(spec.scale, spec.mean, strict=True)
    )


def aipp_config(spec: InputTensor) -> str:
    """The file for atc: a BGR picture of bytes becomes the tensor of `spec`.

    With sizes left open, as dynamic image sizes want it, the picture's size has to be 0.
    """
    sides = [side if isinstance(side, int) else 0 for side in (spec.width, spec.height)]
    lines = [
        "aipp_mode: static",
        "input_format: RGB888_U8",  # three bytes a pixel, in the order that they are given
        f"src_image_size_w: {sides[0]}",
        f"src_image_size_h: {sides[1]}",
        "crop: false",
        "csc_switch: false",
        f"rbuv_swap_switch: {str(spec.colour == 'RGB').lower()}",
    ]
    for channel, (scale, mean) in enumerate(zip(spec.scale, spec.mean, strict=True)):
        lines += [
            f"mean_chn_{channel}: 0",
            f"min_chn_{channel}: {mean / scale:.10g}",
            f"var_reci_chn_{channel}: {scale:.10g}",
        ]
    return "\n".join(["aipp_op {", *(f"    {line}" for line in lines), "}", ""])
