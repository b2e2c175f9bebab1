"""The official SDK of Huawei Cloud's face service, pointed at a server of the test's."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkcore.http.formdata import FormFile
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.sdk_response import FutureSdkResponse
from huaweicloudsdkfrs import v2

from e2e.running import Running, start

ACCESS, SECRET, TOKEN, PROJECT = (
    "AKTEST0000000001",
    "SKTEST-0123456789",
    "MIINRwYJ-token",
    "0123456789abcdef",
)
Said = tuple[str, int, str]
"""Code, HTTP status and message of an error."""


@contextmanager
def frs_server(folder: Path, *flags: str, limit_rps: float = 0, more: str = "") -> Iterator[Running]:
    """A server that wants a signature or a token; the key may name PROJECT only. `more`: TOML."""
    config = folder / "frs.toml"
    config.write_text(
        f'[[huawei_frs.keys]]\naccess = "{ACCESS}"\nsecret = "{SECRET}"\nprojects = ["{PROJECT}"]\n'
        f'rate_limit_rps = {limit_rps}\n[[huawei_frs.tokens]]\nname = "kiosk"\ntoken = "{TOKEN}"\n{more}'
    )
    running = start(folder, "--config", str(config), *flags)
    try:
        yield running
    finally:
        assert running.stop() == 0, running.log.read_text()


def sdk(
    url: str,
    *,
    asynchronous: bool = False,
    secret: str = SECRET,
    project: str = PROJECT,
    authority: Path | None = None,
) -> Any:
    """A client with nothing changed but its endpoint."""
    http = HttpConfig.get_default_config()
    if authority is not None:
        http.ssl_ca_cert = str(authority)
    builder = (v2.FrsAsyncClient if asynchronous else v2.FrsClient).new_builder()
    credentials = BasicCredentials(ACCESS, secret, project)
    return builder.with_http_config(http).with_credentials(credentials).with_endpoint(url).build()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def file(content: bytes, **options: str) -> FormFile:
    """A file of a form; the SDK takes none that is not on a disk, and closes it."""
    path = Path(os.environ["HOME"]) / "脸.jpg"
    path.write_bytes(content)
    return FormFile(path.open("rb"), **options)


def live_face(image: bytes) -> v2.DetectLiveFaceByBase64Request:
    return v2.DetectLiveFaceByBase64Request(body=v2.LiveDetectFaceBase64Req(image_base64=text(image)))


def live_face_file(image: bytes) -> v2.DetectLiveFaceByFileRequest:
    body = v2.DetectLiveFaceByFileRequestBody(image_file=file(image))
    return v2.DetectLiveFaceByFileRequest(body=body)


def live_face_url(url: str) -> v2.DetectLiveFaceByUrlRequest:
    return v2.DetectLiveFaceByUrlRequest(body=v2.LiveDetectFaceUrlReq(image_url=url))


def face(image: bytes) -> v2.DetectFaceByBase64Request:
    body = v2.FaceDetectBase64Req(image_base64=text(image), attributes="2,12")
    return v2.DetectFaceByBase64Request(body=body)


def face_file(image: bytes) -> v2.DetectFaceByFileRequest:
    body = v2.DetectFaceByFileRequestBody(
        image_file=file(image, content_type="image/jpeg"), attributes="2"
    )
    return v2.DetectFaceByFileRequest(body=body)


def face_url(url: str) -> v2.DetectFaceByUrlRequest:
    return v2.DetectFaceByUrlRequest(body=v2.FaceDetectUrlReq(image_url=url, attributes="2"))


def live(actions: str | None = "1", video: str = "AAAA", **more: Any) -> v2.DetectLiveByBase64Request:
    body = v2.LiveDetectBase64Req(video_base64=video, actions=actions, **more)
    return v2.DetectLiveByBase64Request(body=body)


def live_file(actions: str, video: bytes, **more: Any) -> v2.DetectLiveByFileRequest:
    body = v2.DetectLiveByFileRequestBody(actions=actions, video_file=file(video), **more)
    return v2.DetectLiveByFileRequest(body=body)


def live_url(url: str) -> v2.DetectLiveByUrlRequest:
    return v2.DetectLiveByUrlRequest(body=v2.LiveDetectUrlReq(video_url=url, actions="1,3"))


def ask(call: Callable[[Any], Any], make: Callable[[], Any]) -> Any:
    """Call with a request that is made now; what it opened is closed afterwards."""
    request = make()
    try:
        answer = call(request)
        return answer.result() if isinstance(answer, FutureSdkResponse) else answer
    finally:
        for value in vars(request.body).values() if request.body else ():
            if isinstance(value, FormFile):
                value.close()


def refusal(call: Callable[[Any], Any], make: Callable[[], Any]) -> Said:
    """The error that the SDK raises."""
    with pytest.raises(ServiceResponseException) as caught:
        ask(call, make)
    error = caught.value
    assert error.request_id
    return error.error_code, error.status_code, error.error_msg
