"""The route class of the API: what every route refuses, and the headers that every one adds."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.protocol.content import check_json, takes_json
from api.protocol.etags import add_etag
from api.protocol.location import add_location
from api.protocol.query import check_query, declared_parameters

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that refuses undeclared query parameters and bodies that are not JSON."""

    def get_route_handler(self) -> Handler:
        """Return a handler that checks the request, then calls the route."""
        declared = declared_parameters(self.dependant)
        json = takes_json(self)
        path = self.path
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            check_query(request.query_params, declared)
            if json:
                check_json(request)
            response = await handler(request)
            add_location(path, response)
            return add_etag(request, response)

        return strict
