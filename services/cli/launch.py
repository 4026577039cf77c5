"""Becomes another program that dies with its parent: `python -m services.cli.launch ... -- CMD`.

Used for every process of the stack instead of `preexec_fn`, which runs Python between fork and
exec and may hang where the parent has threads (grpc has). Not for use by hand.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys

_CLONE_NEWUSER = 0x10000000  # linux/sched.h
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
EXIT_NOT_LAUNCHED = 125


def main(argv: list[str]) -> None:
    """Take the wanted identity, tie this process to its parent's life, then exec the command."""
    options = _parse(argv)
    try:
        _take_identity(options)
        _die_with_parent(options.parent, options.death_signal)
        os.execvp(options.command[0], options.command)  # noqa: S606 - there is no shell to want
    except OSError as error:
        print(f"cannot launch {options.command[0]}: {error}", file=sys.stderr)
        raise SystemExit(EXIT_NOT_LAUNCHED) from None


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launch")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--new-namespace", action="store_true")
    parser.add_argument("--account", help="uid:gid to become")
    parser.add_argument("--chdir")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(argv)


def _take_identity(options: argparse.Namespace) -> None:
    if options.new_namespace:
        _call("unshare", _CLONE_NEWUSER)
    if options.account:
        uid, gid = (int(part) for part in options.account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if options.chdir:
        os.chdir(options.chdir)


def _die_with_parent(parent: int, death_signal: int) -> None:
    if sys.platform == "linux":
        # After the change of identity, which clears it; it outlives the exec (prctl(2)).
        _call("prctl", _PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked to be told
        raise SystemExit(EXIT_NOT_LAUNCHED)


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*(ctypes.c_ulong(value) for value in arguments)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


if __name__ == "__main__":
    main(sys.argv[1:])
