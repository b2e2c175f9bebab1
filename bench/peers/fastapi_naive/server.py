"""FastAPI as tutorials have it: an async handler that does the work itself, every library's defaults."""

from __future__ import annotations

from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from work import Work, default_session, order_from_arguments

order = order_from_arguments()
work = Work(order, default_session, threads=1)
app = FastAPI()


@app.post("/judge")
async def judge(request: Request) -> dict[str, Any]:
    """On the event loop."""
    return work(await request.body())


uvicorn.run(app, host="127.0.0.1", port=order.http, log_level="warning")
