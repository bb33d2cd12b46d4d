"""What tools of operators ask a server: whether it lives, whether it is ready, how much it does.

They answer without a login, like the page's own health check, and say nothing about anybody.
"""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from poseanimate.engines.engine import Engine
from poseanimate.engines.late import LateEngine


def list_routes(engine: Engine, registry: CollectorRegistry | None) -> list[Route]:
    """The addresses that a server has beside the page's.

    Args:
        registry: what /metrics tells; None for no such address.
    """

    async def health(_: Request) -> Response:
        """Alive: it answers."""
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        """Ready: the models are loaded, so that a run begins at once. Else 503, with the reason."""
        missing = engine.pending if isinstance(engine, LateEngine) else ""
        if missing:
            return JSONResponse({"status": "not ready", "detail": missing}, 503)
        return JSONResponse({"status": "ready"})

    routes = [Route("/health", health), Route("/ready", ready)]
    if registry is not None:

        async def metrics(_: Request) -> Response:
            """Prometheus' text format."""
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

        routes.append(Route("/metrics", metrics))
    return routes
