"""Open a gate by the word of a camera that the box reads: asyncio.

    python docs/examples/watch_camera.py door [--target HOST:PORT|unix:PATH] [--token T]

A camera that fails is watched again after a pause: a gate without a camera stays shut, and says why.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from livegate.client import AsyncLivenessClient, GateDecision
from livegate.core.errors import ErrorCode, LiveGateError

AGAIN_S = 2.0


async def watch(client: AsyncLivenessClient, camera: str) -> None:
    """Act on every word until the watch ends.

    Raises:
        LiveGateError: why it ended: EXIT when the camera was removed or its file is over.
    """
    async with client.watch(camera) as answers:
        async for answer in answers:
            if answer.error is not None:
                print(f"shut: {answer.error}", file=sys.stderr)
            elif answer.gate is GateDecision.OPEN:
                print(f"OPEN for person {answer.person}")  # a turnstile's relay goes here
            elif answer.gate is not None:
                print(f"{answer.gate.value}: {', '.join(answer.reasons)}")


async def watch_for_ever(target: str, token: str, camera: str) -> int:
    """Watch, and watch again while the box is away."""
    async with AsyncLivenessClient(target, token=token) as client:
        while True:
            try:
                await watch(client, camera)
            except LiveGateError as error:
                print(f"watch_camera: {error}", file=sys.stderr)
                if error.code is ErrorCode.EXIT:
                    return 0
                if error.code in (ErrorCode.NO_EXIST, ErrorCode.NO_PERMISSION):
                    return 2
            await asyncio.sleep(AGAIN_S)


def main() -> int:
    """Until the camera ends, or Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("camera", help="its name: `livegate cameras list`")
    parser.add_argument("--target", default="127.0.0.1:50051", help="HOST:PORT or unix:PATH")
    parser.add_argument("--token", default="", help="one of grpc.tokens")
    options = parser.parse_args()
    try:
        return asyncio.run(watch_for_ever(options.target, options.token, options.camera))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
