"""A camera's RTSP server for the tests: GStreamer, run by the system's Python, made to be killed.

    /usr/bin/python3 rtsp_server.py PORT CLIP [USER PASSWORD]

Serves CLIP (H.264 in MP4) at /clip and a tone at /tone, and says `ready` on standard output. Ends at
the end of standard input. It imports nothing of LiveGate's: the system's Python does not have it.
"""

from __future__ import annotations

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

CLIP = "filesrc location={clip} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1"
TONE = "audiotestsrc is-live=true ! mulawenc ! rtppcmupay name=pay0 pt=0"


def mount(server: GstRtspServer.RTSPServer, path: str, pipeline: str, user: str) -> None:
    """Serve a pipeline at a path; with a user, to him only."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {pipeline} )")
    if user:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory(path, factory)


def require_password(server: GstRtspServer.RTSPServer, user: str, password: str) -> None:
    """Basic authentication."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)


def main() -> None:
    port, clip, user, password = (*sys.argv[1:], "", "")[:4]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    mount(server, "/clip", CLIP.format(clip=clip), user)
    mount(server, "/tone", TONE, user)
    if user:
        require_password(server, user, password)
    if server.attach(None) == 0:
        sys.exit(f"port {port} is not to be had")
    loop = GLib.MainLoop()

    def end_with_stdin() -> None:
        sys.stdin.read()
        loop.quit()

    threading.Thread(target=end_with_stdin, daemon=True).start()
    print("ready", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
