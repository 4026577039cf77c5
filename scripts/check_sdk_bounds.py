"""Import the SDK under the oldest runtime that its bounds allow.

Generated code refuses a protobuf or grpcio older than its generator; the newest runtime is the
one that all other tests run under.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
VENV = ROOT / "out" / "sdk-oldest"
PROBE = """
import importlib, pathlib, pkgutil, etapa, etapa_client
for package in (etapa, etapa_client):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
import grpc, google.protobuf
print(f"sdk imports under grpcio {grpc.__version__} and protobuf {google.protobuf.__version__}")
"""


def main() -> int:
    """Make the environment if it is missing, then import every module of the SDK in it."""
    project = tomllib.loads((ROOT / "sdk" / "pyproject.toml").read_text())["project"]
    bounds = project["dependencies"]
    uv = str(BIN / "uv")
    python = str(VENV / "bin" / "python")
    if not Path(python).exists():
        run(uv, "venv", "--quiet", "--python", sys.executable, str(VENV))
    # Wheels only: a Python newer than the oldest grpcio gets the oldest that was built for it.
    lowest = ("--resolution", "lowest", "--only-binary", ":all:")
    run(uv, "pip", "install", "--quiet", "--python", python, *lowest, *bounds)
    run(python, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'sdk/src')!r})\n{PROBE}")
    return 0


def run(*command: str) -> None:
    """Run a command and stop at its failure."""
    subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
