"""Decides as whom the embedded server runs. PostgreSQL refuses to run as root.

As a normal user: as that user. As root: in a new user namespace, where files stay root's and
the server still does not hold root's powers; where that is forbidden, as an account that exists
already. No account is made, and no mode or owner outside the data folder is changed.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from pathlib import Path

from services.cli.child import SAME, Identity, launch_command
from services.cli.postgres_binaries import Binaries, PostgresError

NAMESPACE = Identity(new_namespace=True)
_ACCOUNTS = ("postgres", "nobody")
_PROBE_TIMEOUT_S = 20


def choose_identity(folder: Path, binaries: Binaries, account: str = "") -> Identity:
    """Return the identity under which this server can use `folder`, or say why there is none.

    `account` names the account to use as root, in place of a namespace.
    """
    if os.geteuid() != 0:
        _check_owner(folder)
        return SAME
    owner = _owner_of_data(folder)
    if not account and owner in (None, 0) and namespaces_work():
        return NAMESPACE
    names = [account] if account else [*_name_of(owner), *_ACCOUNTS]
    for name in dict.fromkeys(names):
        identity = _identity_of(name)
        if identity is not None and _can_work(identity, folder, binaries):
            return identity
    raise PostgresError(
        "PostgreSQL does not run as root, new user namespaces are "
        f"{'not wanted' if account else 'forbidden'} here, and none of the accounts "
        f"{', '.join(names)} may enter {folder} and run {binaries.path('postgres')}. "
        "Run Etapa as a normal user, or set ETAPA_POSTGRES_FOLDER to a folder which such an "
        "account may reach, or ETAPA_DATABASE_URL to a server of yours."
    )


def namespaces_work() -> bool:
    """Tell whether this machine lets us make a user namespace (containers often do not)."""
    return _succeeds(["true"], NAMESPACE, None)


def give_folder(folder: Path, identity: Identity) -> None:
    """Make everything in our folder belong to the account that the server runs as."""
    if identity.uid is None or identity.gid is None:
        return
    for place, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            path = Path(place) / name
            if path.lstat().st_uid != identity.uid:
                os.chown(path, identity.uid, identity.gid, follow_symlinks=False)


def _can_work(identity: Identity, folder: Path, binaries: Binaries) -> bool:
    give_folder(folder, identity)
    return _succeeds([binaries.path("postgres"), "--version"], identity, folder)


def _succeeds(command: list[str], identity: Identity, folder: Path | None) -> bool:
    done = subprocess.run(  # noqa: S603 - our own command line, no shell
        launch_command(command, signal.SIGKILL, identity, folder),
        capture_output=True,
        timeout=_PROBE_TIMEOUT_S,
        check=False,
    )
    return done.returncode == 0


def _check_owner(folder: Path) -> None:
    owner = _owner_of_data(folder)
    if owner is not None and owner != os.geteuid():
        name = next(iter(_name_of(owner)), str(owner))
        raise PostgresError(
            f"{folder} belongs to {name}. Run Etapa as {name}, or set ETAPA_POSTGRES_FOLDER to "
            "a folder of your own."
        )


def _owner_of_data(folder: Path) -> int | None:
    try:
        return (folder / "data").stat().st_uid
    except FileNotFoundError:
        return None


def _name_of(uid: int | None) -> list[str]:
    if not uid:
        return []
    try:
        return [pwd.getpwuid(uid).pw_name]
    except KeyError:
        return []


def _identity_of(name: str) -> Identity | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Identity(uid=entry.pw_uid, gid=entry.pw_gid) if entry.pw_uid else None
