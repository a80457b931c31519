"""What a weight file is, told by the names in it: the many things users keep beside their
models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .weights import ModelError

MODEL, LORA, CONTROLNET = "a whole model", "a LoRA", "a ControlNet"
UNION = "a union ControlNet"
_UNET = "a UNet alone"
_KINDS = (  # the first whose pattern is found in a name
    (r"^edm_(mean|std)$", "Playground 2.5"),
    (r"^edm_vpred\.", "a CosXL model"),
    (r"time_embed(ding)?\.cond_proj\.", "a latent consistency model with its guidance built in"),
    (
        r"^(cc_projection|embedder\.model\.visual|noise_augmentor)\.",
        "a model that is told pictures, not words",
    ),
    (r"^scaled_fp8$|\.(scale_weight|comfy_quant)$|\.quant_state\.", "a quantized model"),
    (
        r"^conditioner\.embedders\.0\.model\.(?s:.*)^model\.diffusion_model\.label_emb\.",
        "the SDXL refiner",
    ),
    (r"^lora_controlnet$", "a Control-LoRA"),
    (r"^lllite_", "a ControlNet-LLLite"),
    (r"^(ip_adapter|image_proj)\.", "an IP-Adapter"),
    (r"motion_modules\.", "an AnimateDiff motion module"),
    (r"^(task_embedding$|control_add_embedding\.)", UNION),
    (r"^difference$", "the difference of a ControlNet from its model"),
    (r"lora_|[._]lora\.|\.(hada_w1|lokr_w|oft_|dora_scale|diff(_b)?$)", LORA),
    (r"^control_all_x_embedder\.", "a Z-Image ControlNet"),
    (r"(^|diffusion_model\.)noise_refiner\.\d+\.attention\.", "a Z-Image network"),
    (r"(double|single)(_transformer)?_blocks\.", "a Flux network"),
    (r"joint_blocks\.", "a Stable Diffusion 3 network"),
    (r"clip_txt_mapper\.|\.channelwise\.", "a Stable Cascade network"),
    (r"\.time_(stack|mixer)\.", "a video network"),
    (r"adaln|adaLN|scale_shift_table|head\.modulation|\.cross_attn\.", "a diffusion transformer"),
    (r"^control_model\.|^input_hint_block\.|^controlnet_cond_embedding\.", CONTROLNET),
    (r"^(model\.diffusion_model|first_stage_model|cond_stage_model|conditioner)\.", MODEL),
    (r"^(adapter\.)?body\.0\.(block1|in_conv|resnets)", "a T2I-Adapter"),
    (r"^(input_blocks|time_embedding)\.", _UNET),
    (r"^(encoder|decoder)\.(down|up|mid|conv_in)", "a VAE"),
    (r"^vision_model\.", "an image encoder"),
    (
        r"^(model\.)?(layers\.\d+\.self_attn\.|embed_tokens\.)|^(text_model|transformer\.resblocks)\.|\btoken_embedding\.|\.SelfAttention\.",
        "a text encoder",
    ),
    (r"^(emb_params|clip_[gl]|<.+>)$|^string_to_param", "a textual inversion"),
    (r"rdb\d|RDB\d|^conv_first\.", "an upscaler"),
)
_ADVICE = {
    MODEL: "name it as the model",
    LORA: "name it among the LoRAs",
    CONTROLNET: "name it as a control's model",
    UNION: "name it as a control's model",
    "a Z-Image ControlNet": "name it as a control's model, beside a Z-Image model",
    "a Z-Image network": "name it as the model",
    _UNET: "choose the folder that has its model_index.json, or a file with all parts",
}


def kind(names: Iterable[str]) -> str:
    """What a file with weights of these names is, or "" where nothing tells."""
    text = "\n".join(sorted(names))
    return next((kind for pattern, kind in _KINDS if re.search(pattern, text, re.MULTILINE)), "")


def mistaken(path: Path, names: Iterable[str], wanted: str) -> ModelError:
    """Why a file is not what it was chosen as, with what it is and where it belongs."""
    found = kind(names)
    if found and not wanted.startswith(found):
        return ModelError(
            f"{path}: is {found}, not {wanted}; {_ADVICE.get(found, 'choose another')}."
        )
    return ModelError(f"{path}: is not {wanted} that this engine reads; choose another.")
