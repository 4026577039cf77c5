"""Generate the SDK's `etapa` package from `protos/` and swap the target folder whole.

Runs in the tool environment of `requirements-protos.txt`, whose old generator keeps the
generated code loadable under every newer protobuf and grpcio runtime.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HEADER = '"""Generated from protos/etapa by `make protos`. Do not edit."""\n'


def generate(out: Path) -> None:
    """Write `etapa/...` below `out`, with `__init__.py` in each folder and `py.typed`."""
    files = sorted(str(p) for p in (ROOT / "protos").rglob("*.proto"))
    well_known = Path(protoc.__file__).parent / "_proto"
    code = protoc.main(
        [
            "protoc",
            f"-I{ROOT / 'protos'}",
            f"-I{well_known}",
            f"--plugin=protoc-gen-mypy={BIN / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={BIN / 'protoc-gen-mypy_grpc'}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
            *files,
        ]
    )
    if code:
        raise SystemExit(code)
    package = out / "etapa"
    for folder in [package, *(p for p in package.rglob("*") if p.is_dir())]:
        (folder / "__init__.py").write_text(HEADER)
    (package / "py.typed").touch()


def main() -> None:
    """Replace the folder named on the command line with freshly generated code."""
    target = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as temp:
        generate(Path(temp))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(temp) / "etapa", target)


if __name__ == "__main__":
    main()
