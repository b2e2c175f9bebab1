"""Write every generated file of the repository, or with --check say which ones are stale.

Protobuf messages from proto/, docs/errors.md from the error table, docs/config.md from the keys,
docs/selftest.schema.json, docs/bench.schema.json and docs/bench-compare.schema.json from the types of
the reports.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

from livegate.core.errors import errors_markdown
from livegate.core.settings import keys_markdown
from livegate.gateway.frs import FrsCode
from livegate.gateway.linkface import LinkfaceStatus
from livegate.selftest.report import report_schema_text
from livegate_bench.comparison.matching import comparison_schema_text
from livegate_bench.rows import report_schema_text as bench_schema_text

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "runtime" / "livegate" / "v1"


def messages() -> dict[Path, str]:
    """The Python modules that protoc makes of proto/livegate/v1, made importable as livegate.v1."""
    with tempfile.TemporaryDirectory() as out:
        protos = sorted(str(path) for path in (ROOT / "proto" / "livegate" / "v1").glob("*.proto"))
        arguments = ["protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", f"--pyi_out={out}"]
        if protoc.main([*arguments, *protos]) != 0:
            sys.exit("protoc failed")
        made = sorted((Path(out) / "livegate" / "v1").iterdir())
        return {PACKAGE / path.name: path.read_text() for path in made}


def expected() -> dict[Path, str]:
    """Every generated file with its content."""
    return {
        **messages(),
        PACKAGE / "__init__.py": '"""Generated from proto/livegate/v1 by `make proto`."""\n',
        ROOT / "docs" / "errors.md": errors_markdown() + reserved_markdown(),
        ROOT / "docs" / "config.md": keys_markdown(),
        ROOT / "docs" / "selftest.schema.json": report_schema_text(),
        ROOT / "docs" / "bench.schema.json": bench_schema_text(),
        ROOT / "docs" / "bench-compare.schema.json": comparison_schema_text(),
    }


def reserved_markdown() -> str:
    """The codes of the dialects that nothing answers with, and why."""
    tables = {"Huawei FRS": FrsCode, "Linkface": LinkfaceStatus}
    rows = [
        f"| {name} | {row.value} | {row.origin} |"
        for name, table in tables.items()
        for row in table
        if row.is_reserved
    ]
    head = ["| dialect | code | why |", "|---|---|---|"]
    text = "Every other code of their tables is answered by something; see the dialects' pages."
    return "\n".join(["", "## Reserved in the dialects", text, "", *head, *rows]) + "\n"


def _comparable(text: str) -> str:
    """Generator versions differ between Pythons; what they generate must not."""
    text = re.sub(r"(?m)^# .*[Vv]ersion.*$", "", text)
    return re.sub(r"ValidateProtobufRuntimeVersion\([^)]*\)", "", text)


def main() -> int:
    """Write, or compare."""
    files = expected()
    if "--check" not in sys.argv:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return 0
    stale = [
        str(path.relative_to(ROOT))
        for path, text in files.items()
        if not path.exists() or _comparable(path.read_text()) != _comparable(text)
    ]
    for path in stale:
        print(f"stale: {path} (make proto)", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
