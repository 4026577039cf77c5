"""Loads the SQL files of a service once. No statement lives anywhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path


class Statements(Mapping[str, str]):
    """The statements of one folder by file name without `.sql`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._texts = {path.stem: path.read_text("utf-8") for path in folder.glob("*.sql")}
        if not self._texts:
            raise FileNotFoundError(f"no .sql file in {folder}")

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._texts))

    def __len__(self) -> int:
        return len(self._texts)


def load_statements(module_file: str) -> Statements:
    """Return the statements of the `sql` folder beside a module: `load_statements(__file__)`."""
    return Statements(Path(module_file).parent / "sql")
