from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from services.tools.registry import tool_problems
from services.tools.tool import AnyTool, Tool

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "new_tool.py"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments, "--folder", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def load(path: Path) -> AnyTool:
    spec = importlib.util.spec_from_file_location(f"written_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert isinstance(module.TOOL, Tool)
    return module.TOOL


def test_new_tool_writes_one_file_that_may_go_live(tmp_path: Path) -> None:
    result = run(tmp_path, "sky_changer", "--app", "2031815099811368962", "--credits", "15")
    assert result.returncode == 0, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["sky_changer.py"]
    tool = load(tmp_path / "sky_changer.py")
    assert (tool.name, tool.view, tool.variants[0].price) == ("sky_changer", "sky_changer_jobs", 15)
    assert tool_problems(tool) == []


def test_new_tool_without_an_app_id_is_refused_at_start_up(tmp_path: Path) -> None:
    assert "and the app id" in run(tmp_path, "sky_changer").stdout
    (problem,) = tool_problems(load(tmp_path / "sky_changer.py"))
    assert "placeholder" in problem


def test_new_tool_is_in_the_house_form(tmp_path: Path) -> None:
    run(tmp_path, "sky_changer")
    config = SCRIPT.parents[1] / "pyproject.toml"
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", str(config), str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_new_tool_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "sky_changer.py").write_text("mine")
    result = run(tmp_path, "sky_changer")
    assert result.returncode != 0
    assert "exists already" in result.stderr
    assert (tmp_path / "sky_changer.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Sky-Changer"], "NAME"),
        (["../sky"], "NAME"),
        (["sky", "--app", "12"], "APP"),
        (["sky", "--credits", "0"], "CREDITS"),
    ],
)
def test_bad_arguments_write_nothing(tmp_path: Path, arguments: list[str], says: str) -> None:
    result = run(tmp_path, *arguments)
    assert result.returncode != 0
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []
