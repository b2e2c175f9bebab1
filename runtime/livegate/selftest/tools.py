"""What the vendors' own commands say of their devices. Each is asked once, and not for long.

Source: nvidia-smi(1), --query-gpu; nvpmodel of Jetson Linux; npu-smi of the Ascend driver.
"""

from __future__ import annotations

from collections.abc import Sequence

from livegate.core.commands import Ask, ask

GPU_FIELDS = (
    "name", "temperature.gpu", "power.draw", "clocks_throttle_reasons.hw_thermal_slowdown",
    "clocks_throttle_reasons.sw_thermal_slowdown", "clocks_throttle_reasons.hw_power_brake_slowdown",
)  # fmt: skip
"""Also known to drivers that call the last ones clocks_event_reasons."""


def gpu_states(ask: Ask = ask) -> tuple[dict[str, str], ...]:
    """One for each NVIDIA GPU, by GPU_FIELDS; what a GPU does not tell is left out."""
    said = ask(("nvidia-smi", f"--query-gpu={','.join(GPU_FIELDS)}", "--format=csv,noheader,nounits"))
    states = []
    for line in said.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) == len(GPU_FIELDS):
            told = zip(GPU_FIELDS, values, strict=True)
            states.append({name: value for name, value in told if value and value[0] != "["})
    return tuple(states)


def gpu_problems(states: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Which GPUs slow themselves down, and why."""
    return tuple(
        f"{state.get('name', 'GPU')} slows itself down ({name.rpartition('.')[2]})"
        for state in states
        for name, value in state.items()
        if value == "Active"
    )


def power_mode(ask: Ask = ask) -> str:
    """A Jetson's power mode in its own words; nothing elsewhere."""
    for line in ask(("nvpmodel", "-q")).splitlines():
        _, separator, mode = line.partition("Power Mode:")
        if separator:
            return mode.strip()
    return ""
