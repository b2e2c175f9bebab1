"""FastAPI with care: a plain handler in a pool of as many threads as cores, which share the sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import cv2
import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import Body, FastAPI
from work import Work, lean_session, order_from_arguments

order = order_from_arguments()
cv2.setNumThreads(1)
work = Work(order, lean_session, threads=order.cores)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """The pool that handlers without `async` run in has 40 threads otherwise."""
    current_default_thread_limiter().total_tokens = order.cores
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/judge")
def judge(picture: bytes = Body(media_type="image/jpeg")) -> dict[str, Any]:
    """In a thread of the pool."""
    return work(picture)


uvicorn.run(app, host="127.0.0.1", port=order.http, log_level="warning")
