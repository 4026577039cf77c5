"""The provider's HTTP surface: both generations, the file links, the progress socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from services.emulator import wire_v1
from services.emulator.codes import Refusal
from services.emulator.edge import Edge, json_reply
from services.emulator.files import Files
from services.emulator.progress import Progress
from services.emulator.provider import Provider
from services.emulator.routes_v1 import RoutesV1
from services.emulator.routes_v2 import RoutesV2
from services.emulator.wire_v2 import refusal as v2_refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
JSON_LIMIT_BYTES = 32 * 1024 * 1024


def create_app(provider: Provider) -> web.Application:
    """Return the application that looks like RunningHub."""
    app = web.Application(client_max_size=JSON_LIMIT_BYTES, middlewares=[_misspelt])
    edge = Edge(provider)
    for part in (RoutesV1(provider), RoutesV2(provider), Files(provider)):
        for operation in part.operations():
            app.router.add_route(operation.method, operation.path, edge.handler(operation))
    app.router.add_get("/ws/c_instance", Progress(provider).handle)
    return app


@web.middleware
async def _misspelt(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an unknown path as the provider does: HTTP 200 with a code, 412 in v1."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        wrong_method = isinstance(error, web.HTTPMethodNotAllowed)
        if request.path.startswith("/openapi/v2/"):
            return json_reply(v2_refusal(Refusal(1009 if wrong_method else 1001)))
        return json_reply(wire_v1.refusal(Refusal(412)))
