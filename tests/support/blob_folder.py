"""A blob store's folder, as somebody with a shell would treat it."""

from __future__ import annotations

from pathlib import Path


def erase(folder: Path, sha256: str) -> None:
    """Erase a blob behind the store's back."""
    (path,) = folder.rglob(sha256)
    path.unlink()
