"""atc without CANN: takes the options of its guide, and writes a model that tests/acl_fake.py runs.

Source: CANN, ATC guide, command-line options, one page for each: --model, --framework (5 = ONNX),
--output (the suffix .om is added), --soc_version, --input_format, --input_shape, --out_nodes,
--output_type, --precision_mode, --log, --dynamic_batch_size and --dynamic_image_size (each needs two
profiles or more; one excludes the other), --insert_op_conf (AIPP, configuration file template). Errors
have numbers: E10001.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path

NEEDED = ("model", "framework", "output", "soc_version")
KNOWN = (
    *NEEDED, "input_format", "input_shape", "out_nodes", "output_type", "precision_mode", "log",
    "dynamic_batch_size", "dynamic_image_size", "insert_op_conf",
)  # fmt: skip
MODES = ("force_fp32", "force_fp16", "allow_fp32_to_fp16", "must_keep_origin_dtype")


def fail(number: str, text: str) -> None:
    """As atc ends: the number, the words, a status."""
    print(f"ATC run failed, Please check the detail log\n{number}: {text}")
    sys.exit(255)


def aipp_of(text: str) -> dict[str, str]:
    """One aipp_op block, prototxt."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if lines[0] != "aipp_op {" or lines[-1] != "}":
        fail("E10042", "AIPP config is not an aipp_op")
    told = dict(line.replace(" ", "").split(":") for line in lines[1:-1])
    if told["aipp_mode"] != "static" or told["crop"] != "false":
        fail("E10043", "only static AIPP without crop is played here")
    for channel in range(3):
        if not 0 <= int(told[f"mean_chn_{channel}"]) <= 255:
            fail("E10044", "mean_chn is a uint8")
        if not 0 <= float(told[f"min_chn_{channel}"]) <= 255:
            fail("E10044", "min_chn is within 0..255")
    return told


def main() -> None:
    """Read the options, write the model."""
    told = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
    if unknown := sorted(set(told) - set(KNOWN)):
        fail("E10012", f"unknown options {unknown}")
    if missing := sorted(set(NEEDED) - set(told)):
        fail("E10004", f"options are missing: {missing}")
    if told["framework"] != "5" or told["precision_mode"] not in MODES:
        fail("E10001", "a value is invalid")
    if os.environ.get("FAKE_ATC") == "refuse":
        fail("E19010", "No parser is registered for Op [PRelu]")
    if os.environ.get("FAKE_ATC") == "hang":
        Path(os.environ["FAKE_ATC_STARTED"]).write_text(str(os.getpid()))
        time.sleep(600)
    batches = [int(n) for n in told.get("dynamic_batch_size", "").split(",") if n]
    pairs = [pair for pair in told.get("dynamic_image_size", "").split(";") if pair]
    sizes = [[int(side) for side in pair.split(",")] for pair in pairs]
    if (batches and sizes) or len(batches) == 1 or len(sizes) == 1 or len(batches + sizes) > 100:
        fail("E10040", "one kind of profiles, two to a hundred of them")
    name, _, shape = told["input_shape"].partition(":")
    dims = [int(side) for side in shape.split(",")]
    rows = 2 if told["input_format"] == "NCHW" else 1
    if [index for index, side in enumerate(dims) if side < 0] != (
        [0] if batches else [rows, rows + 1] if sizes else []
    ):
        fail("E10018", f"shape {dims} does not go with its profiles")
    aipp = aipp_of(Path(told["insert_op_conf"]).read_text()) if "insert_op_conf" in told else None
    if aipp and sizes and (aipp["src_image_size_w"], aipp["src_image_size_h"]) != ("0", "0"):
        fail("E10045", "AIPP with dynamic image sizes wants source sizes of 0")
    model = {
        "onnx": base64.b64encode(Path(told["model"]).read_bytes()).decode(),
        "soc": told["soc_version"],
        "name": name,
        "dims": dims,
        "format": told["input_format"],
        "batches": batches,
        "sizes": sizes,
        "aipp": aipp,
        "outputs": told["out_nodes"].split(";"),
        "precision": told["precision_mode"],
    }
    Path(f"{told['output']}.om").write_text(json.dumps(model))
    print("ATC run success, welcome to the next use.")


if __name__ == "__main__":
    main()
