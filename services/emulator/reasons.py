"""How runs fail: the provider's own words for each class of `failedReason`.

Classes and texts: the project's RunningHub reference, section 6 (read 2026-11-24). "Porn",
the stale file handle, the saturated upstream and the unreadable image were seen in the wild; the
rest is the stock wording of ComfyUI, torch and Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """One way to fail. `error_class` is the class a client should find.

    `code` is the v2 errorCode ("805" means: read failedReason). Without `exception_type` the
    failedReason is empty. `native` sends JSON values in v2 where others send JSON in strings.
    """

    error_class: str
    code: int = 805
    exception_type: str = ""
    exception_message: str = ""
    node_name: str = ""
    node_id: str = ""
    traceback: tuple[str, ...] = ()
    current_inputs: dict[str, Any] = field(default_factory=dict)
    current_outputs: tuple[str, ...] = ()
    native: bool = False


_EXECUTE = (
    '  File "/workspace/ComfyUI/execution.py", line 327, in execute\n'
    "    output_data = get_output_data(obj, input_data_all)\n"
)

REASONS: dict[str, Reason] = {
    "gpu_oom": Reason(
        "gpu_oom",
        exception_type="torch.OutOfMemoryError",
        exception_message=(
            "Allocation on device 0 would exceed allowed memory. (out of memory)\n"
            "Currently allocated     : 22.61 GiB\n"
            "Requested               : 1.50 GiB\n"
            "Device limit            : 23.65 GiB\n"
            "Free (according to CUDA): 28.31 MiB\n"
            "PyTorch limit (set by user-supplied memory fraction)\n"
            "                        : 17179869184.00 GiB"
        ),
        node_name="KSampler",
        node_id="17",
        traceback=(
            _EXECUTE,
            '  File "/workspace/ComfyUI/nodes.py", line 1545, in sample\n'
            "    return common_ksampler(model, seed, steps, cfg, sampler_name, scheduler)\n",
            '  File "/workspace/ComfyUI/comfy/ops.py", line 98, in forward_comfy_cast_weights\n'
            "    return torch.nn.functional.linear(input, weight, bias)\n",
        ),
        current_inputs={
            "steps": [20],
            "cfg": [1.0],
            "seed": [9007199254740993],
            "sampler_name": ["euler"],
            "denoise": [0.35],
        },
        current_outputs=("4", "7", "6"),
    ),
    "moderation": Reason(
        "moderation",
        exception_type="Exception",
        exception_message="image contains Porn content",
        node_name="LoadImage",
        node_id="39",
        native=True,
    ),
    "moderation_1501": Reason("moderation", code=1501),
    "moderation_1505": Reason("moderation", code=1505),
    "node_missing": Reason(
        "node_missing",
        exception_type="missing_node_type",
        exception_message="Cannot execute because node RH_CustomUpscaler does not exist.",
        node_name="RH_CustomUpscaler",
        node_id="27",
    ),
    "model_missing": Reason(
        "model_missing",
        exception_type="FileNotFoundError",
        exception_message=(
            "No such file or directory: "
            '"/workspace/ComfyUI/models/diffusion_models/upscale_model_fp8.safetensors"'
        ),
        node_name="UNETLoader",
        node_id="12",
        traceback=(_EXECUTE,),
    ),
    "input_unreadable": Reason(
        "input_unreadable",
        exception_type="PIL.UnidentifiedImageError",
        exception_message="cannot identify image file '/workspace/ComfyUI/input/upload.webp'",
        node_name="LoadImage",
        node_id="26",
        traceback=(_EXECUTE,),
    ),
    "input_unreadable_video": Reason(
        "input_unreadable",
        exception_type="ValueError",
        exception_message="/workspace/ComfyUI/input/upload.mp4 could not be loaded with cv.",
        node_name="VHS_LoadVideo",
        node_id="3",
        traceback=(_EXECUTE,),
    ),
    "infra": Reason(
        "infra",
        exception_type="OSError",
        exception_message=(
            "[Errno 116] Stale file handle: '/workspace/ComfyUI/models/vae/model.safetensors'"
        ),
        node_name="VAELoader",
        node_id="12",
        traceback=('  File "/workspace/ComfyUI/nodes.py", line 790, in load_vae\n',),
    ),
    "infra_upstream": Reason(
        "infra",
        exception_type="RuntimeError",
        exception_message="当前分组上游负载已饱和，请稍后再试",
        node_name="RH_LLMAPI",
        node_id="31",
        native=True,
    ),
    "infra_disk": Reason(
        "infra",
        exception_type="OSError",
        exception_message="[Errno 28] No space left on device",
        node_name="SaveImage",
        node_id="9",
        traceback=(_EXECUTE,),
    ),
    "timeout": Reason("timeout", code=1006),
    "timeout_1504": Reason("timeout", code=1504),
    "timeout_node": Reason(
        "timeout",
        exception_type="TimeoutError",
        exception_message="The read operation timed out",
        node_name="RH_ModelLoader",
        node_id="12",
        traceback=(_EXECUTE,),
    ),
    "unknown": Reason(
        "unknown",
        exception_type="RuntimeError",
        exception_message=(
            "The size of tensor a (64) must match the size of tensor b (48) "
            "at non-singleton dimension 3"
        ),
        node_name="KSampler",
        node_id="17",
        traceback=(_EXECUTE,),
        current_inputs={"steps": [20], "cfg": [1.0]},
        current_outputs=("4",),
    ),
    # A failure without a word: failedReason absent although the code promises one.
    "unexplained": Reason("unknown"),
}

NO_OUTPUT = "no_output"
