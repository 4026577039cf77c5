"""Write the one file of a new tool: `make new-tool NAME=sky_changer [APP=… CREDITS=…]`.

The file starts with a placeholder where no app id is given, and the tools service refuses to
start until it is replaced.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

CATALOG = Path(__file__).resolve().parent.parent / "services" / "tools" / "catalog"
PLACEHOLDER = "0000000000000000000"
TEMPLATE = '''"""{title}: say in one sentence what it does.

Source of the app id, nodes and limits: say where and when they were read.
"""

from __future__ import annotations

from services.tools.domain import Text
from services.tools.tool import (
    Kind,
    MediaInput,
    MediaRef,
    Node,
    NoInputs,
    RunPlan,
    Tool,
    Variant,
    run_of,
)

STANDARD = Variant(
    name="standard",
    webapp_id="{app}",
    price={credits},
)


def plan(inputs: NoInputs) -> RunPlan:
    """Send the image."""
    return run_of(STANDARD, Node("1", "image", MediaRef("image")))


TOOL = Tool(
    name="{name}",
    view="{name}_jobs",
    label=Text("{title}", "{title}"),
    description=Text("Diga o que faz.", "Say what it does."),
    inputs=NoInputs,
    media=(MediaInput(name="image", kind=Kind.IMAGE, label=Text("Foto", "Photo")),),
    variants=(STANDARD,),
    plan=plan,
    output=Kind.IMAGE,
)
'''


def write_tool(name: str, app: str, credit_price: int, folder: Path) -> Path:
    """Write `<name>.py` into the folder and return its path; an existing file stays as it is."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,34}", name):
        raise SystemExit(f"NAME={name!r}: use small letters, digits and _, as in sky_changer")
    if not re.fullmatch(r"[0-9]{19}", app):
        raise SystemExit(f"APP={app!r}: a RunningHub app id has 19 digits")
    if credit_price <= 0:
        raise SystemExit(f"CREDITS={credit_price}: give a price above 0")
    title = name.replace("_", " ").title()
    path = folder / f"{name}.py"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.format(title=title, name=name, app=app, credits=credit_price))
    except FileExistsError:
        raise SystemExit(f"{path.name} exists already; choose another NAME") from None
    return path


def main() -> None:
    """Write the file and say what to fill in."""
    parser = argparse.ArgumentParser(description="Write the one file of a new tool.")
    parser.add_argument("name")
    parser.add_argument("--app", default=PLACEHOLDER)
    parser.add_argument("--credits", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=CATALOG)
    given = parser.parse_args()
    path = write_tool(given.name, given.app, given.credits, given.folder)
    sys.stdout.write(f"wrote {path}: fill in the texts, the nodes and the limits")
    sys.stdout.write(", and the app id\n" if given.app == PLACEHOLDER else "\n")


if __name__ == "__main__":
    main()
