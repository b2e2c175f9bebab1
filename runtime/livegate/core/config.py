"""The configuration: typed, every key documented; core/settings.py fills it.

Each class is a table of the TOML file, each field a key.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]  # TOML knows inf, a clock does not
Fraction = Annotated[float, Meta(ge=0, le=1)]
Secret = Annotated[str, Meta(min_length=8)]
Token = Annotated[str, Meta(min_length=8, pattern=r"^[!-~]([ -~]*[!-~])?\Z")]
"""A secret that goes in a header as it is."""
CAMERA_PATTERN = r"^[A-Za-z0-9._-]{1,63}\Z"
WHOLE = (0.0, 0.0, 1.0, 1.0)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the configuration file."""


class App(Section, frozen=True):
    """One client of the AIPaaS dialect."""

    id: Annotated[str, Meta(min_length=1, description="what the client sends as X-APP-ID")]
    key: Annotated[Secret, Meta(description="what it signs with, never shown")]
    rate_limit_rps: Annotated[
        float, Meta(ge=0, description="requests per second that it may send; 0 = no limit")
    ] = 0.0


class AccessKey(Section, frozen=True):
    """One client of the Huawei FRS dialect that signs its requests."""

    access: Annotated[str, Meta(min_length=1, description="its access key (AK)")]
    secret: Annotated[Secret, Meta(description="its secret key (SK), never shown")]
    projects: Annotated[
        tuple[str, ...], Meta(description="the project_ids that it may name; empty = any")
    ] = ()
    rate_limit_rps: Annotated[
        float, Meta(ge=0, description="requests per second that it may send; 0 = no limit")
    ] = 0.0


class AccessToken(Section, frozen=True):
    """One client of the Huawei FRS dialect that sends a token."""

    name: Annotated[str, Meta(min_length=1, description="what messages call it")]
    token: Annotated[Token, Meta(description="what it sends as X-Auth-Token, never shown")]
    projects: Annotated[
        tuple[str, ...], Meta(description="the project_ids that it may name; empty = any")
    ] = ()
    rate_limit_rps: Annotated[
        float, Meta(ge=0, description="requests per second that it may send; 0 = no limit")
    ] = 0.0


class LinkfaceApp(Section, frozen=True):
    """One client of the Linkface dialect."""

    api_id: Annotated[str, Meta(min_length=1, description="what the client sends as api_id")]
    api_secret: Annotated[Secret, Meta(description="what it sends as api_secret, never shown")]
    rate_limit_rps: Annotated[
        float, Meta(ge=0, description="requests per second that it may send; 0 = no limit")
    ] = 0.0
    quota: Annotated[
        NotNegative, Meta(description="calls on one day (UTC), forgotten by a restart; 0 = no limit")
    ] = 0
    expires: Annotated[
        date | None, Meta(description="the last day (UTC) on which it may call; unset = for ever")
    ] = None


class Device(Section, frozen=True):
    """One device that seals its liveness data."""

    id: Annotated[str, Meta(min_length=1, description="its device id, which its containers name")]
    key: Annotated[str, Meta(description="64 hexadecimal digits, never shown")]


class CameraConfig(Section, frozen=True):
    """One camera: where its pictures come from, and how they are to be looked at."""

    name: Annotated[str, Meta(pattern=CAMERA_PATTERN, description="1 to 63 of A-Z a-z 0-9 . _ -")]
    url: Annotated[
        str,
        Meta(description="rtsp://…, v4l2:/dev/video0, file:clip.mp4[?loop]; empty = a FrameProducer's"),
    ] = ""
    rotation: Annotated[
        Literal[0, 90, 180, 270], Meta(description="degrees clockwise that make its pictures upright")
    ] = 0
    mirror: Annotated[bool, Meta(description="swap left and right, after the rotation")] = False
    region: Annotated[
        tuple[Fraction, Fraction, Fraction, Fraction],
        Meta(description="left, top, width, height, parts of the upright picture: where faces count"),
    ] = WHOLE
    min_face_height: Annotated[
        Fraction, Meta(description="least height of a face that counts, as a part of the picture's")
    ] = 0.0


class ServerConfig(Section, frozen=True):
    """Scheduling and life cycle."""

    workers: Annotated[int, Meta(ge=0, le=1024, description="worker threads; 0 = one for each core")] = 0
    pin_workers: Annotated[
        bool,
        Meta(description="keep each worker on its own core, if there are as many workers as cores"),
    ] = True
    queue_capacity: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="requests that may wait; the surplus is answered 5003 at once, and for a while "
            "after that new ones have half of the places",
        ),
    ] = 64
    queue_timeout_s: Annotated[
        Seconds, Meta(description="longest wait in the queue for a request without a deadline")
    ] = 10.0
    drain_timeout_s: Annotated[
        Seconds, Meta(description="after SIGTERM, how long accepted requests may still run")
    ] = 10.0


class Face(Section, frozen=True):
    """What listens on an address."""

    bind: Annotated[str, Meta(description="HOST:PORT; empty = none")] = ""
    tls_cert: Annotated[
        str,
        Meta(description="PEM file of the certificate chain; with it TCP is TLS (1.2 or newer) only"),
    ] = ""
    tls_key: Annotated[str, Meta(description="PEM file of its key, without a passphrase")] = ""


class GrpcConfig(Face, frozen=True):
    """The gRPC face."""

    bind: Annotated[str, Meta(description="HOST:PORT; empty = no TCP")] = "127.0.0.1:50051"
    socket: Annotated[
        str, Meta(description="path of a Unix socket; auto = in the runtime folder, empty = none")
    ] = "auto"
    max_receive_mib: Annotated[Positive, Meta(description="largest message accepted, in MiB")] = 16
    tokens: Annotated[
        tuple[Token, ...],
        Meta(description="bearer tokens; one of them is then required", extra={"secret": True}),
    ] = ()
    admin_tokens: Annotated[
        tuple[Token, ...],
        Meta(
            description="bearer tokens that may change cameras and models; the Unix socket may always",
            extra={"secret": True},
        ),
    ] = ()
    max_streams: Annotated[
        int, Meta(ge=1, le=200, description="StreamFrames and WatchCamera calls open at once")
    ] = 32


class HttpConfig(Face, frozen=True):
    """The HTTP face, where the cloud dialects answer."""

    bind: Annotated[str, Meta(description="HOST:PORT; empty = no HTTP")] = "127.0.0.1:8080"
    max_body_mib: Annotated[Positive, Meta(description="largest body accepted, in MiB")] = 32
    max_in_flight_mib: Annotated[
        Positive, Meta(description="bodies of all requests together, in MiB; more is answered 5003")
    ] = 256
    head_timeout_s: Annotated[
        Seconds, Meta(description="time for a request's head to arrive; then the connection ends")
    ] = 10.0
    body_timeout_s: Annotated[Seconds, Meta(description="time for a body to arrive")] = 15.0
    max_connections: Annotated[Positive, Meta(description="connections open at once")] = 512


class UrlsConfig(Section, frozen=True):
    """What may be fetched when a cloud's client names a URL; nothing unless it is listed here."""

    allow: Annotated[
        tuple[str, ...], Meta(description='what a URL must begin with: "https://host/folder/"')
    ] = ()
    networks: Annotated[
        tuple[str, ...], Meta(description='private networks that may be fetched from: "10.1.2.0/24"')
    ] = ()
    buckets: Annotated[
        dict[str, str], Meta(description="bucket = local folder, for inputs named /bucket/object")
    ] = {}
    timeout_s: Annotated[
        Seconds,
        Meta(description="time for one to arrive; a dialect may allow less, check_liveness twice"),
    ] = 5.0
    ca_file: Annotated[
        str, Meta(description="PEM file of authorities to trust; empty = the system's")
    ] = ""


class MetricsConfig(Face, frozen=True):
    """/metrics, /livez and /readyz."""

    bind: Annotated[str, Meta(description="HOST:PORT; empty = none")] = "127.0.0.1:9090"
    tokens: Annotated[
        tuple[Token, ...],
        Meta(description="bearer tokens for /metrics", extra={"secret": True}),
    ] = ()


class AipaasConfig(Section, frozen=True):
    """The AIPaaS dialect."""

    auth: Annotated[
        Literal["auto", "hmac", "none"],
        Meta(description="auto = hmac as soon as one app is configured; none = loopback only"),
    ] = "auto"
    apps: Annotated[
        tuple[App, ...],
        Meta(description="the clients that may sign requests", extra={"secret": True}),
    ] = ()
    clock_window_s: Annotated[
        NotNegative,
        Meta(description="how far the box's clock may differ from the signer's, in seconds"),
    ] = 300

    @property
    def is_signed(self) -> bool:
        """Whether requests must be signed."""
        return self.auth == "hmac" or (self.auth == "auto" and bool(self.apps))


class HuaweiFrsConfig(Section, frozen=True):
    """The Huawei FRS dialect."""

    auth: Annotated[
        Literal["auto", "aksk", "token", "none"],
        Meta(description="auto = what is configured, keys, tokens or both; none = loopback only"),
    ] = "auto"
    keys: Annotated[
        tuple[AccessKey, ...],
        Meta(description="the clients that may sign requests", extra={"secret": True}),
    ] = ()
    tokens: Annotated[
        tuple[AccessToken, ...],
        Meta(description="the clients that may send X-Auth-Token", extra={"secret": True}),
    ] = ()
    clock_window_s: Annotated[
        NotNegative,
        Meta(description="how far the box's clock may differ from the signer's, in seconds"),
    ] = 900

    @property
    def takes_signatures(self) -> bool:
        """Whether a signature opens the door."""
        return self.auth == "aksk" or (self.auth == "auto" and bool(self.keys))

    @property
    def takes_tokens(self) -> bool:
        """Whether a token opens the door."""
        return self.auth == "token" or (self.auth == "auto" and bool(self.tokens))


class LinkfaceConfig(Section, frozen=True):
    """The Linkface dialect."""

    auth: Annotated[
        Literal["auto", "secret", "none"],
        Meta(description="auto = secret as soon as one app is configured; none = loopback only"),
    ] = "auto"
    apps: Annotated[
        tuple[LinkfaceApp, ...],
        Meta(description="the clients that may call", extra={"secret": True}),
    ] = ()
    devices: Annotated[
        tuple[Device, ...],
        Meta(description="the devices whose sealed containers are opened", extra={"secret": True}),
    ] = ()
    require_sealed: Annotated[
        bool,
        Meta(description="liveness data must be a sealed container; plain files are refused"),
    ] = False
    data_window_s: Annotated[
        Seconds,
        Meta(description="how far a container's time may differ from the box's, in seconds"),
    ] = 300.0
    uploads: Annotated[
        bool, Meta(description="keep liveness data and pictures in memory, to be named by their id")
    ] = False
    uploads_mib: Annotated[
        Positive, Meta(description="memory for kept data, in MiB; the oldest makes room")
    ] = 64
    upload_ttl_s: Annotated[Seconds, Meta(description="kept data is gone after so many seconds")] = 300.0

    @property
    def needs_secret(self) -> bool:
        """Whether callers must say their id and secret."""
        return self.auth == "secret" or (self.auth == "auto" and bool(self.apps))


class FramesConfig(Section, frozen=True):
    """The frame queue: camera frames in shared memory."""

    socket: Annotated[
        str, Meta(description="path of a Unix socket; auto = in the runtime folder, empty = none")
    ] = "auto"
    ceiling_mib: Annotated[
        Positive, Meta(description="memory of all producers together; more is answered 1006")
    ] = 512
    max_producers: Annotated[Positive, Meta(description="cameras connected at once")] = 16
    max_connections: Annotated[
        Positive, Meta(description="connections of one user, those without a camera included")
    ] = 32
    max_messages_per_s: Annotated[
        Positive, Meta(description="messages of one producer; who sends more is hung up on")
    ] = 2000
    slots_max: Annotated[
        int, Meta(ge=3, le=64, description="slots of one producer; it asks for how many it wants")
    ] = 8
    max_waiting: Annotated[Positive, Meta(description="frames of one camera that may wait")] = 1
    max_leases: Annotated[
        Positive, Meta(description="frames of one camera that may be looked at, at once")
    ] = 2
    policy: Annotated[
        Literal["newest_wins", "reject", "block"],
        Meta(description="a frame that finds the queue full replaces, is refused, or waits"),
    ] = "newest_wins"
    block_timeout_ms: Annotated[
        int,
        Meta(ge=1, le=500, description="longest wait for a place or a slot; a death is seen then"),
    ] = 200
    max_frame_age_ms: Annotated[
        NotNegative, Meta(description="frames older than this are dropped unseen; 0 = no limit")
    ] = 1000
    trusted: Annotated[
        Literal["same_uid", "all", "none"],
        Meta(description="whose frames are read in place; others' are copied once, privately"),
    ] = "same_uid"
    allow_uids: Annotated[
        tuple[int, ...],
        Meta(description="users that may hand over frames, beside the server's own"),
    ] = ()


class IngestConfig(Section, frozen=True):
    """Cameras that the server reads by itself, each in a process of its own."""

    cameras: Annotated[
        tuple[CameraConfig, ...], Meta(description="the cameras", extra={"secret": True})
    ] = ()
    max_cameras: Annotated[Positive, Meta(description="cameras with a process of their own")] = 8
    open_timeout_s: Annotated[Seconds, Meta(description="time for a source to open")] = 5.0
    read_timeout_s: Annotated[Seconds, Meta(description="time for the next packet of a source")] = 5.0
    retry_max_s: Annotated[
        Seconds, Meta(description="longest pause between tries to open a source again")
    ] = 8.0
    watchdog_s: Annotated[
        Seconds, Meta(description="a camera process that shows no life for so long is killed")
    ] = 15.0
    memory_mib: Annotated[
        int, Meta(ge=512, description="address space of one camera process, in MiB")
    ] = 2048


class GateConfig(Section, frozen=True):
    """From single frames to one word for the person in front: OPEN, HOLD or DENY."""

    needed: Annotated[int, Meta(ge=1, le=64, description="frames of one mind that decide (k of n)")] = 3
    window: Annotated[int, Meta(ge=1, le=64, description="latest frames that count (n)")] = 5
    hysteresis: Annotated[
        Fraction,
        Meta(
            description="a score this near to the threshold counts for neither side; half of the way to "
            "0 and to 1 always counts"
        ),
    ] = 0.05
    evidence_ms: Annotated[
        Positive, Meta(description="frames older than this do not count any more")
    ] = 2000
    gone_ms: Annotated[
        Positive, Meta(description="who was out of sight for so long is a new person afterwards")
    ] = 600
    max_frame_age_ms: Annotated[
        Positive, Meta(description="from capture to verdict; a frame that took longer opens nothing")
    ] = 1000

    def __post_init__(self) -> None:
        """A gate that could never open is a mistake."""
        if self.needed > self.window:
            raise ValueError(f"gate.needed is {self.needed}, gate.window only {self.window}")


class AttentionConfig(Section, frozen=True):
    """Which frames of a camera are looked at in full once there is a word, or while nobody is there."""

    recheck_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=2000,
            description="longest pause between two of them, half of it while nobody is there; 0: every "
            "frame",
        ),
    ] = 400
    max_face_change: Annotated[
        Fraction, Meta(description="a face that differs more from what was judged is looked at")
    ] = 0.2
    max_scene_change: Annotated[
        Fraction,
        Meta(
            description="a picture that differs more from what was judged is looked at: in one of 8x8 "
            "blocks while nobody is there, in their mean while somebody is"
        ),
    ] = 0.06


class LimitsConfig(Section, frozen=True):
    """What a picture may be, checked before memory is taken for it."""

    max_images: Annotated[Positive, Meta(description="pictures in one request")] = 16
    max_image_bytes: Annotated[Positive, Meta(description="bytes of one picture")] = 8 << 20
    max_pixels: Annotated[Positive, Meta(description="width x height of one picture")] = 4096 * 4096
    min_side: Annotated[Positive, Meta(description="shortest side of a picture, in pixels")] = 32


class VideoConfig(Section, frozen=True):
    """What a video of a request may be. It is decoded in a process of its own."""

    max_bytes: Annotated[Positive, Meta(description="bytes of one video")] = 8 << 20
    min_s: Annotated[Seconds, Meta(description="shortest video, in seconds")] = 1.0
    max_s: Annotated[float, Meta(gt=0, le=60, description="longest video, in seconds")] = 15.0
    max_pixels: Annotated[
        int, Meta(ge=4096, le=4096 * 4096, description="width x height of its pictures")
    ] = 1920 * 1200
    min_side: Annotated[Positive, Meta(description="shortest side of its pictures, in pixels")] = 96
    max_frames: Annotated[Positive, Meta(description="pictures that are decoded at most")] = 2000
    decode_timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="time that its process may keep us waiting, altogether")
    ] = 20.0
    memory_mib: Annotated[
        int, Meta(ge=512, description="address space of the process that decodes it, in MiB")
    ] = 1024
    sample_fps: Annotated[
        float, Meta(ge=5, le=60, description="pictures a second that are looked at, about")
    ] = 15.0
    max_samples: Annotated[
        int, Meta(ge=20, le=2000, description="pictures of one video that are looked at, about")
    ] = 225
    at_once: Annotated[Positive, Meta(description="videos that are looked at, at once")] = 2
    max_waiting: Annotated[Positive, Meta(description="videos that may wait; more is answered 5003")] = 8

    def __post_init__(self) -> None:
        """Some length must be allowed."""
        if self.min_s >= self.max_s:
            raise ValueError(f"video.min_s is {self.min_s:g}, video.max_s only {self.max_s:g}")


class ActionsConfig(Section, frozen=True):
    """algoTask 9002: what counts as an action, and what makes a person in a video alive."""

    shake_deg: Annotated[
        float, Meta(ge=5, le=80, description="least turn of the head to a side, in degrees")
    ] = 15.0
    nod_deg: Annotated[
        float, Meta(ge=1, le=90, description="least nod, in degrees, where a request tells none")
    ] = 10.0
    mouth_open: Annotated[
        Fraction, Meta(description="least opening of the lips over their width, above the rest's")
    ] = 0.3
    blink_drop: Annotated[
        Fraction, Meta(description="part of its openness that an eye must lose to be shut")
    ] = 0.35
    refuse_unasked: Annotated[
        bool, Meta(description="a movement that was not asked for refuses the video; blinks are free")
    ] = True
    needs_silent: Annotated[bool, Meta(description="alive needs silent liveness (1031) as well")] = True
    needs_continuity: Annotated[
        bool, Meta(description="alive needs one person, always in sight, without a cut")
    ] = True
    silent_frames: Annotated[
        int, Meta(ge=1, le=64, description="pictures of a video that silent liveness judges, at most")
    ] = 8
    frontal_deg: Annotated[
        float, Meta(gt=0, le=45, description="a face that looks away no more than this is frontal")
    ] = 15.0
    gone_ms: Annotated[Positive, Meta(description="a face that is out of sight for longer has left")] = (
        500
    )
    max_scene_change: Annotated[
        Fraction, Meta(description="mean change of brightness between two pictures that is a cut")
    ] = 0.08
    max_face_change: Annotated[
        Fraction, Meta(description="change of the face between two pictures (0 = none) that is a swap")
    ] = 0.2
    max_deg_per_s: Annotated[
        float, Meta(gt=0, description="a head that turns faster was cut, in degrees a second")
    ] = 700.0
    min_face_side: Annotated[
        Positive, Meta(description="shortest side of the face, in pixels; smaller ones do not count")
    ] = 40


class ChallengeConfig(Section, frozen=True):
    """Challenges: actions in a random order that must be answered once, in time."""

    actions: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=5)], ...],
        Meta(description="drawn from these: 1 shake left, 2 shake right, 3 nod, 4 mouth, 5 blink"),
    ] = (1, 2, 3, 4)
    count: Annotated[int, Meta(ge=1, le=6, description="actions of one challenge")] = 3
    lifetime_s: Annotated[
        float, Meta(ge=1, le=600, description="time to answer, from StartChallenge on")
    ] = 30.0
    max_open: Annotated[
        int,
        Meta(ge=1, le=10_000, description="challenges that wait for an answer; more is answered 1018"),
    ] = 64
    required: Annotated[
        bool, Meta(description="refuse videos of actions that answer no challenge, in every dialect")
    ] = False

    def __post_init__(self) -> None:
        """There must be something to draw: no action follows itself, one at least moves the head."""
        if len(set(self.actions)) < len(self.actions):
            raise ValueError("challenge.actions names an action twice")
        if not {1, 2, 3} & set(self.actions):
            raise ValueError("challenge.actions needs one of 1, 2 and 3: a movement of the head")
        if self.count > 1 and len(self.actions) < 2:
            raise ValueError(f"challenge.count is {self.count}, challenge.actions has one only")


class EngineConfig(Section, frozen=True):
    """What runs the networks."""

    backend: Annotated[
        str, Meta(description="plug-in that runs the networks; auto = the best of each manifest's list")
    ] = "onnxruntime"
    provider: Annotated[
        str, Meta(description="cpu, cuda, tensorrt, cann, npu …; auto = the best that the box has")
    ] = "auto"
    policy: Annotated[
        Literal["require", "prefer", "any"],
        Meta(description="require = exactly these; prefer = else what the manifest lists, loudly; any"),
    ] = "require"
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        Meta(
            description="fp16 (tensorrt, ascend) or int8 (tensorrt) where the manifest has it; else fp32"
        ),
    ] = "fp32"
    use: Annotated[
        dict[str, str],
        Meta(description="model id = backend or backend/provider, where a model runs better on another"),
    ] = {}
    intra_op_threads: Annotated[
        Positive, Meta(description="threads inside one run; 1 and many workers measured best")
    ] = 1
    preprocess: Annotated[
        Literal["cpu", "auto", "gpu"],
        Meta(
            description="tensorrt: who cuts frames; auto = a GPU that reads the queue's slots in place"
        ),
    ] = "auto"
    cuda_graphs: Annotated[
        bool,
        Meta(description="tensorrt on a GPU: record the work of a shape once, launch it as a whole"),
    ] = True


class ModelsConfig(Section, frozen=True):
    """Which models, and where their files may lie."""

    dirs: Annotated[tuple[str, ...], Meta(description="folders to look for model files in")] = ()
    upstream: Annotated[
        str, Meta(description="where `models pull` downloads from, only when it is called; a mirror")
    ] = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
    pack: Annotated[
        str, Meta(description="the pack whose model each task takes; `livegate models list` shows them")
    ] = "starter"
    use: Annotated[
        dict[str, str],
        Meta(description="task = model id, where the pack's model of a task is not wanted"),
    ] = {}


class FaceDetectionConfig(Section, frozen=True):
    """algoTask 9001."""

    input_size: Annotated[
        int, Meta(ge=64, le=2048, description="long side of the detector's input, in pixels")
    ] = 320
    min_score: Annotated[
        Fraction | None, Meta(description="faces below are dropped; unset = the model's own")
    ] = None
    max_faces: Annotated[Positive, Meta(description="faces reported for one picture")] = 64


class SilentLivenessConfig(Section, frozen=True):
    """algoTask 1031."""

    threshold: Annotated[
        Fraction | None, Meta(description="genuine at or above; unset = the model's own")
    ] = None
    fusion: Annotated[
        Literal["min", "mean", "median"],
        Meta(description="several pictures: their least, mean or lower median score"),
    ] = "min"


class QualityConfig(Section, frozen=True):
    """Which pictures of a face a dialect warns of; nothing is refused for it."""

    min_overall: Annotated[
        Fraction, Meta(description="size x sharpness x brightness, each in parts of a good face's")
    ] = 0.3
    min_sharpness: Annotated[
        Fraction, Meta(description="edges over contrast of a face of 64 pixels; blurred below")
    ] = 0.1
    min_brightness: Annotated[
        Fraction, Meta(description="mean of the face; the skin's own shade counts, so keep it low")
    ] = 0.16
    max_yaw_deg: Annotated[float, Meta(gt=0, le=90, description="to a side, in degrees")] = 30.0
    max_pitch_deg: Annotated[float, Meta(gt=0, le=90, description="up or down, in degrees")] = 15.0
    max_roll_deg: Annotated[float, Meta(gt=0, le=180, description="leaning, in degrees")] = 15.0


class LogConfig(Section, frozen=True):
    """Logs, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severity shown")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"],
        Meta(description="auto = console on a terminal, JSON elsewhere"),
    ] = "auto"


class Config(Section, frozen=True):
    """All of it."""

    server: ServerConfig = ServerConfig()
    grpc: GrpcConfig = GrpcConfig()
    http: HttpConfig = HttpConfig()
    urls: UrlsConfig = UrlsConfig()
    metrics: MetricsConfig = MetricsConfig()
    aipaas: AipaasConfig = AipaasConfig()
    huawei_frs: HuaweiFrsConfig = HuaweiFrsConfig()
    linkface: LinkfaceConfig = LinkfaceConfig()
    frames: FramesConfig = FramesConfig()
    ingest: IngestConfig = IngestConfig()
    gate: GateConfig = GateConfig()
    attention: AttentionConfig = AttentionConfig()
    limits: LimitsConfig = LimitsConfig()
    video: VideoConfig = VideoConfig()
    engine: EngineConfig = EngineConfig()
    models: ModelsConfig = ModelsConfig()
    face_detection: FaceDetectionConfig = FaceDetectionConfig()
    silent_liveness: SilentLivenessConfig = SilentLivenessConfig()
    actions: ActionsConfig = ActionsConfig()
    challenge: ChallengeConfig = ChallengeConfig()
    quality: QualityConfig = QualityConfig()
    log: LogConfig = LogConfig()

    @property
    def faces(self) -> dict[str, Face]:
        """What listens on addresses, by its table's name."""
        return {"grpc": self.grpc, "http": self.http, "metrics": self.metrics}
