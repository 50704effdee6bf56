"""The server's own empty answer: what granian costs when the application does nothing."""

from __future__ import annotations

from typing import Any


async def at_once(scope: Any, protocol: Any) -> None:
    """202 without looking at the request."""
    protocol.response_empty(202, [])


async def after_the_body(scope: Any, protocol: Any) -> None:
    """202 once the body has been received."""
    await protocol()
    protocol.response_empty(202, [])
