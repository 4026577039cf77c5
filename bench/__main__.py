"""`python -m bench`: runs the wanted figures, interleaved, and tells what was found."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence

import uvloop

from bench import report
from bench.arena import Amount, Arena
from bench.places import RESULTS
from bench.programme import FIGURES, Figure
from bench.provider_client import ProviderProcess
from bench.result import Row
from bench.server import BenchServer


def main() -> None:
    """Measure, print the table, write the results."""
    options = _parse()
    began = time.monotonic()
    rows = uvloop.run(_measure(options.only or list(FIGURES), _amount(options)))
    report.show(rows)
    is_whole = not (options.only or options.contestants or options.quick)
    name = "latest.json" if is_whole else "partial.json"
    path = RESULTS / name
    report.write(rows, path, seconds=time.monotonic() - began, is_quick=options.quick)
    report.draw(path)
    print(f"written to {path.relative_to(RESULTS.parent.parent)}")


async def _measure(names: Sequence[str], amount: Amount) -> list[Row]:
    rows: list[Row] = []
    with BenchServer() as server, ProviderProcess() as provider:
        arena = Arena(server, provider, amount)
        for name in names:
            async for row in FIGURES[name](arena):
                print(f"{row.figure:60} {report.number(row.value):>10} {row.unit}", flush=True)
                rows.append(row)
            await asyncio.sleep(0)
    return rows


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the main rows in five minutes")
    parser.add_argument("--only", type=_names(FIGURES), help="figures, separated by commas")
    parser.add_argument("--contestants", type=_words, default=[], help="these alone")
    parser.add_argument("--rounds", type=int, help="5, or 1 when quick")
    parser.add_argument("--seconds", type=float, help="that one measurement lasts, about")
    parser.add_argument("--in-flight", type=_numbers, help="submits at a time, as in 256,1")
    return parser.parse_args()


def _amount(options: argparse.Namespace) -> Amount:
    levels = (256, 1) if options.quick else (256, 64, 16, 1)
    return Amount(
        is_quick=options.quick,
        rounds=options.rounds or (1 if options.quick else 5),
        seconds=options.seconds or (2.5 if options.quick else 5.0),
        contestants=tuple(options.contestants),
        in_flight=options.in_flight or levels,
    )


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in _words(text))


def _names(known: dict[str, Figure]) -> Callable[[str], list[str]]:
    def figures(text: str) -> list[str]:
        names = _words(text)
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown} are none of {', '.join(known)}")
        return names

    return figures


if __name__ == "__main__":
    main()
