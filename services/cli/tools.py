"""`etapa tools`: lists the catalogue, shows one tool with its schema, pauses and resumes."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.text import Text

from etapa.tools.v1 import tools_pb2
from etapa_client import EtapaClient
from etapa_client.words import Language, Words, size
from services.cli.layout import BOLD, DIM, columns, duration, one_line
from services.cli.run_request import properties, usage
from services.cli.session import AsJson, Lang, Session, open_session, run

ToolName = Annotated[str, typer.Argument(metavar="NAME", help="name of the tool")]
_CREDITS = Words("{price} créditos", "{price} credits")
_MEDIA = Words("Mídia", "Media")
_PARAMS = Words("Parâmetros", "Parameters")
_PRICES = Words("Preços", "Prices")
_UP_TO = Words("até {size}", "up to {size}")
_SIDE = Words("até {side} px de lado", "up to {side} px a side")
_SCALED = Words("reduzida a {side} px se for maior", "scaled down to {side} px if larger")
_DEFAULT = Words("padrão {value}", "default {value}")
_PAUSED = Words(
    "{tool} está pausada: os jobs esperam na fila", "{tool} is paused: its jobs wait in the queue"
)
_RESUMED = Words("{tool} aceita jobs", "{tool} takes jobs")
_VIEW = Words("Visão SQL: {view}", "SQL view: {view}")


def register(app: typer.Typer) -> None:
    """Add the group; without a command of its own it lists."""
    group = typer.Typer(help="List the tools, show one, pause or resume one.")
    group.callback(invoke_without_command=True)(tools)
    group.command("show")(show)
    group.command("pause")(pause)
    group.command("resume")(resume)
    app.add_typer(group, name="tools")


def tools(context: typer.Context, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the tools, show one, pause or resume one."""
    if context.invoked_subcommand is not None:
        return
    session = open_session(context, lang, as_json)
    found = run(session, list_all)
    if as_json:
        for tool in found:
            session.json(tool_to_json(tool))
        return
    session.lines(columns([_row(session, tool) for tool in found], indent=0))


def show(context: typer.Context, name: ToolName, as_json: AsJson = False, lang: Lang = "") -> None:
    """Show a tool: its media, parameters, prices, and how to run it."""
    session = open_session(context, lang, as_json)
    tool = run(session, lambda client: client.tools.describe_tool(name))
    if as_json:
        session.json(tool_to_json(tool))
        return
    _print_tool(session, tool)


def pause(context: typer.Context, name: ToolName, as_json: AsJson = False, lang: Lang = "") -> None:
    """Let a tool's jobs wait in the queue; what runs goes on."""
    _set_paused(open_session(context, lang, as_json), name, paused=True)


def resume(
    context: typer.Context, name: ToolName, as_json: AsJson = False, lang: Lang = ""
) -> None:
    """Let a tool's jobs start again."""
    _set_paused(open_session(context, lang, as_json), name, paused=False)


async def list_all(client: EtapaClient) -> list[tools_pb2.ToolInfo]:
    """Return the whole catalogue, by name."""
    found: list[tools_pb2.ToolInfo] = []
    token = ""
    while True:
        page = await client.tools.list_tools(page_token=token)
        found += page.tools
        token = page.next_page_token
        if not token:
            return found


def tool_to_json(tool: tools_pb2.ToolInfo) -> dict[str, Any]:
    """Return a tool as an object, its JSON Schema under `input_schema`."""
    return {
        "name": tool.name,
        "label": {"pt": tool.label_pt, "en": tool.label_en},
        "description": {"pt": tool.description_pt, "en": tool.description_en},
        "media": [
            {
                "name": one.name,
                "kind": one.kind,
                "label": {"pt": one.label_pt, "en": one.label_en},
                "max_bytes": one.max_bytes,
                "content_types": list(one.content_types),
                "max_duration_s": one.max_duration_s or None,
                "max_side_px": one.max_side_px,
                "help": {"pt": one.help_pt, "en": one.help_en} if one.help_pt else None,
            }
            for one in tool.media
        ],
        "input_schema": json.loads(tool.input_schema_json or "{}"),
        "credits_from": tool.credits_from,
        "credits_to": tool.credits_to,
        "variant_credits": dict(sorted(tool.variant_credits.items())),
        "output_kind": tool.output_kind,
        "view": tool.view,
    }


def _set_paused(session: Session, name: str, *, paused: bool) -> None:
    state = run(session, lambda client: client.operations.set_tool(name, paused=paused))
    if session.as_json:
        session.json({"tool": state.tool, "paused": state.paused})
    else:
        session.line(session.say(_PAUSED if state.paused else _RESUMED, tool=state.tool))


def _row(session: Session, tool: tools_pb2.ToolInfo) -> list[Text | str]:
    return [
        Text(tool.name, style=BOLD),
        _local(session.language, tool.label_pt, tool.label_en),
        session.say(_CREDITS, price=_price(tool)),
        Text(" ".join(f"--{one.name}" for one in tool.media)),
        Text(_local(session.language, tool.description_pt, tool.description_en), style=DIM),
    ]


def _print_tool(session: Session, tool: tools_pb2.ToolInfo) -> None:
    language = session.language
    label = _local(language, tool.label_pt, tool.label_en)
    session.line(Text.assemble((tool.name, BOLD), f"  {label}"))
    session.line(f"  {_local(language, tool.description_pt, tool.description_en)}")
    session.line(Text(f"  {usage(tool, language)}", style=BOLD))
    session.line(f"  {session.say(_VIEW, view=tool.view)}")
    _section(session, _MEDIA, [_media_row(session, one) for one in tool.media])
    rows = [_param_row(session, name, facts) for name, facts in properties(tool).items()]
    _section(session, _PARAMS, rows)
    prices = sorted(tool.variant_credits.items())
    _section(
        session,
        _PRICES,
        [[name or "-", session.say(_CREDITS, price=cost)] for name, cost in prices],
    )


def _section(session: Session, title: Words, rows: list[list[Text | str]]) -> None:
    if rows:
        session.line()
        session.line(Text(session.say(title), style=BOLD))
        session.lines(columns(rows))


def _media_row(session: Session, one: tools_pb2.MediaInput) -> list[Text | str]:
    limits = (
        [session.say(_UP_TO, size=size(one.max_bytes, session.language))] if one.max_bytes else []
    )
    if one.max_duration_s:
        limits.append(session.say(_UP_TO, size=duration(one.max_duration_s, session.language)))
    side = _SIDE if one.max_duration_s else _SCALED
    limits.append(session.say(side, side=one.max_side_px))
    return [
        Text(f"--{one.name}", style=BOLD),
        _local(session.language, one.label_pt, one.label_en),
        one.kind,
        ", ".join(limits),
        Text(_local(session.language, one.help_pt, one.help_en)),
        Text(", ".join(one.content_types), style=DIM),
    ]


def _param_row(session: Session, name: str, facts: dict[str, Any]) -> list[Text | str]:
    default = facts.get("default")
    shown = session.say(_DEFAULT, value=json.dumps(default)) if default is not None else ""
    return [
        Text(name, style=BOLD),
        _of(facts.get("x-label"), session.language),
        _allowed(facts),
        shown,
        Text(_of(facts.get("x-help"), session.language), style=DIM),
    ]


def _allowed(facts: dict[str, Any]) -> str:
    """Return what a parameter may be, as its schema says."""
    if "enum" in facts:
        return one_line(" | ".join(str(value) for value in facts["enum"]))
    low, high = facts.get("minimum"), facts.get("maximum")
    kind = str(facts.get("type", ""))
    return f"{kind} {low:g}–{high:g}" if low is not None and high is not None else kind


def _of(texts: object, language: Language) -> str:
    return one_line(str(texts.get(language.value, ""))) if isinstance(texts, dict) else ""


def _price(tool: tools_pb2.ToolInfo) -> str:
    low, high = tool.credits_from, tool.credits_to
    return str(low) if low == high else f"{low}–{high}"


def _local(language: Language, pt: str, en: str) -> str:
    return one_line(pt if language is Language.PT else en)
