"""kill -9 on either side, in every state: the frame is lost, and nothing else."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from frame_queue_kit import HANG_S, open_fds, refused
from frame_queue_rig import (
    GENUINE,
    TESTS,
    Consumer,
    Puppet,
    Zygote,
    broker_at,
    child_environment,
    eventually,
)
from livegate.client.producer import FrameProducer
from livegate.core.errors import ErrorCode, QueueError
from livegate.selftest.sealedframes import is_whole, number_of
from livegate.shm.broker import Broker
from livegate.shm.lease import Lease
from livegate.shm.ring import SlotState
from livegate.shm.tally import FrameEvent

LIVES = {
    "connected": (),
    "loaned": ("loan",),
    "mid-write": ("loan", "write_half"),
    "published": ("loan", "publish"),
    "published and loaned": ("loan", "publish", "loan", "write_half"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frames.sock"


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Zygote]:
    made = Zygote(tmp_path)
    yield made
    made.close()


def live(puppet: Puppet, path: Path, steps: tuple[str, ...], *, camera: str = "door") -> None:
    assert puppet.do(f"connect {path} {camera} 64 48") == "ok 4"
    for step in steps:
        assert puppet.do(step).startswith("ok"), step


@pytest.mark.parametrize("state", LIVES)
def test_producer_killed_gives_everything_back(path: Path, zygote: Zygote, state: str) -> None:
    """Slots, memory, name and descriptors are back, and the next producer of the name works."""
    with broker_at(path) as broker:
        before = open_fds()
        puppet = zygote.spawn()
        live(puppet, path, LIVES[state])
        puppet.kill()
        eventually(lambda: broker.connections == 0, "the end of the dead")
        assert (broker.status, broker.budget.taken_bytes, open_fds()) == ((), 0, before)
        with refused(ErrorCode.QUEUE_EMPTY):
            broker.pop(timeout_s=0)
        heir = zygote.spawn()
        live(heir, path, ("loan", "publish"))
        with broker.pop(timeout_s=HANG_S) as lease:
            assert is_whole(lease.frame().pixels)
            lease.finish(GENUINE)
        assert heir.do("results") == "ok 1:0"
        heir.kill()


def test_producer_killed_while_its_frame_is_leased(path: Path, zygote: Zygote) -> None:
    """The look goes on to its end on whole bytes; then the memory goes."""
    with broker_at(path) as broker:
        puppet = zygote.spawn()
        live(puppet, path, ("loan", "publish", "loan"))
        lease = broker.pop(timeout_s=HANG_S)
        puppet.kill()
        eventually(lambda: broker.status == (), "the end of the dead")
        assert not lease.has_producer
        heir = zygote.spawn()
        live(heir, path, ("loan", "publish"))
        assert is_whole(lease.frame().pixels)
        both = broker.budget.taken_bytes
        lease.finish(GENUINE)
        assert broker.budget.taken_bytes == both // 2
        heir.kill()


def test_producer_killed_while_it_waits_for_a_place(path: Path, zygote: Zygote) -> None:
    """BLOCK: its death is seen when the wait ends, and the wait is bounded."""
    with broker_at(path, policy="block", block_timeout_ms=100) as broker:
        puppet = zygote.spawn()
        live(puppet, path, ("loan", "publish", "loan", "publish"))
        puppet.kill()
        eventually(lambda: broker.connections == 0, "the end of the dead")
        assert broker.budget.taken_bytes == 0


def test_name_of_a_dying_producer_is_given_to_its_heir(path: Path, zygote: Zygote) -> None:
    """A camera process that is restarted at once need not wait for us to notice the death."""
    with broker_at(path, policy="block", block_timeout_ms=200) as broker:
        puppet = zygote.spawn()
        heir = zygote.spawn()
        live(puppet, path, ("loan", "publish", "loan", "publish"))
        puppet.kill()
        live(heir, path, ("loan",))
        assert len(broker.status) == 1
        heir.kill()


SERVER_STATES = ("idle", "connected", "loaned", "published", "leased")


@pytest.mark.parametrize("state", SERVER_STATES)
def test_server_killed_is_noticed_and_replaced(path: Path, state: str) -> None:
    """No hang: 1024 on every call; the stale socket is replaced, the next server judges."""
    server = subprocess.Popen(
        [sys.executable, str(TESTS / "e2e" / "frame_server.py"), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(),
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    producer = FrameProducer(path, camera="door", width=64, height=48)
    with ExitStack() as stack:
        if state != "idle":
            producer.connect()
        if state in ("published", "leased"):
            with producer.loan():
                pass
        if state == "leased":
            server.stdin.write("lease\n")
            server.stdin.flush()
            assert server.stdout.readline() == "leased 1\n"
        if state == "loaned":
            stack.enter_context(refused(ErrorCode.CONNECTION_CLOSE))
            pixels = stack.enter_context(producer.loan())
        server.send_signal(signal.SIGKILL)
        server.wait(HANG_S)
        if state == "loaned":
            pixels[:] = 9  # the memory is still ours: no fault
            stack.close()
    server.stdin.close()
    server.stdout.close()
    assert path.exists(), "the killed server left its socket"
    for call in (lambda: producer.results(timeout_s=HANG_S), lambda: producer.loan().__enter__()):
        with refused(ErrorCode.CONNECTION_CLOSE):
            call()
    producer.close()
    with refused(ErrorCode.CONNECTION_FAILURE):
        producer.connect()
    with broker_at(path) as broker, Consumer(broker), producer:
        with producer.loan():
            pass
        assert producer.results(timeout_s=HANG_S)[0].has_verdict


class KillMachine(RuleBasedStateMachine):
    """Producers at random points of their lives, killed there; a consumer at random points of its."""

    zygote: Zygote
    kills = 0
    judged = 0

    def __init__(self) -> None:
        super().__init__()
        gc.collect()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "frames.sock"
        self.before = open_fds()
        self.stack = ExitStack()
        self.broker: Broker = self.stack.enter_context(broker_at(self.path))
        self.idle_fds = open_fds()
        self.puppets: dict[str, Puppet] = {}
        self.states: dict[str, str] = {}
        self.leases: list[Lease] = []

    @rule(camera=st.sampled_from("abc"))
    def spawn(self, camera: str) -> None:
        if camera not in self.puppets:
            puppet = self.puppets[camera] = type(self).zygote.spawn()
            assert puppet.do(f"connect {self.path} {camera} 64 48") == "ok 4"
            self.states[camera] = "idle"

    @rule(camera=st.sampled_from("abc"), steps=st.integers(1, 4))
    def step(self, camera: str, steps: int) -> None:
        """Go on with a life."""
        for _ in range(steps):
            state = self.states.get(camera)
            if state == "idle" and self.puppets[camera].do("loan").startswith("ok"):
                self.states[camera] = "loaned"
            elif state == "loaned":
                self.puppets[camera].do("write_half")
                self.states[camera] = "writing"
            elif state == "writing":
                self.puppets[camera].do("publish")
                self.states[camera] = "idle"

    @rule(camera=st.sampled_from("abc"), seed=st.integers(0, 999))
    def run(self, camera: str, seed: int) -> None:
        """Let one run freely; where the kill finds it is anybody's guess."""
        if self.states.get(camera) == "idle":
            self.puppets[camera].tell(f"run {seed}")
            self.states[camera] = "running"

    @rule(wait=st.booleans())
    def lease(self, wait: bool) -> None:
        if len(self.leases) < 4:
            wait = wait and "running" in self.states.values() and len(self.leases) < 2
            with contextlib.suppress(QueueError):
                self.leases.append(self.broker.pop(timeout_s=0.05 if wait else 0.0))

    # No precondition here: whether a frame has come depends on the other process, and what hypothesis
    # draws must not.
    @rule(place=st.integers(0, 3), looks=st.booleans())
    def finish(self, place: int, looks: bool) -> None:
        if not self.leases:
            return
        lease = self.leases.pop(place % len(self.leases))
        if looks:
            pixels = lease.frame().pixels
            assert is_whole(pixels)
            assert number_of(pixels) == lease.frame_id
        lease.finish(GENUINE)
        type(self).judged += 1

    @precondition(lambda self: bool(self.puppets))
    @rule(place=st.integers(0, 2), heir=st.booleans())
    def kill(self, place: int, heir: bool) -> None:
        """kill -9; then either look whether all is back, or let an heir come at once."""
        camera = sorted(self.puppets)[place % len(self.puppets)]
        self.puppets.pop(camera).kill()
        del self.states[camera]
        type(self).kills += 1
        if heir:
            self.spawn(camera)
            slots = next(s for s in self.broker.status if s.camera == camera).slots
            assert slots[SlotState.FREE] == 4
        else:
            eventually(lambda: self.is_gone(camera), f"the end of {camera}")

    def is_gone(self, camera: str) -> bool:
        return camera not in [status.camera for status in self.broker.status]

    def teardown(self) -> None:
        for puppet in self.puppets.values():
            puppet.kill()
        while self.leases:
            self.leases.pop().finish(GENUINE)
        eventually(lambda: self.broker.connections == 0, "the end of all")
        self.broker.sweep()
        assert self.broker.budget.taken_bytes == 0
        assert open_fds() == self.idle_fds
        self.stack.close()
        assert open_fds() == self.before
        self.folder.cleanup()


def run_kills(folder: Path, *, examples: int, at_least: int) -> None:
    """Rounds of random lives until there were enough kills; which rules a life has is random too."""

    class Machine(KillMachine):
        zygote = Zygote(folder)

    rounds = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    for _ in range(20):
        run_state_machine_as_test(Machine, settings=rounds)
        if Machine.kills >= at_least and Machine.judged:
            break
    Machine.zygote.close()
    print(f"{Machine.kills} kills, {Machine.judged} frames judged")
    assert Machine.kills >= at_least, f"only {Machine.kills} kills"
    assert Machine.judged > 0


def test_producers_killed_at_a_few_random_points(tmp_path: Path) -> None:
    """The machine of the slow test, for a moment."""
    run_kills(tmp_path, examples=10, at_least=10)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_producers_killed_at_many_random_points(tmp_path: Path) -> None:
    """At least 200 kill points, each at another place of somebody's life."""
    run_kills(tmp_path, examples=100, at_least=200)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_soak_with_stalls_and_crashes_leaks_nothing(path: Path, zygote: Zygote) -> None:
    """Four producers for LIVEGATE_SOAK_S (300 s): no leak, no torn frame, none delivered twice."""
    seconds = float(os.environ.get("LIVEGATE_SOAK_S", "300"))
    dice = random.Random(1)
    process = psutil.Process()
    seen: dict[str, int] = {}
    wrong: list[tuple[str, int]] = []

    def look(lease: Lease) -> None:
        pixels = lease.frame().pixels
        is_new = lease.frame_id > seen.get(lease.camera, 0)
        if not (is_new and is_whole(pixels) and number_of(pixels) == lease.frame_id):
            wrong.append((lease.camera, lease.frame_id))
        seen[lease.camera] = lease.frame_id

    with broker_at(path) as broker, Consumer(broker, look):
        puppets: dict[str, Puppet] = {}
        lives = 0
        readings: list[tuple[float, int, int]] = []
        start = os.times().elapsed
        while (now := os.times().elapsed - start) < seconds:
            for place in range(4):
                if place not in {int(name.partition(".")[0]) for name in puppets}:
                    lives += 1
                    name = f"{place}.{lives}"  # a name of its own, for frames start at 1 again
                    puppets[name] = zygote.spawn()
                    assert puppets[name].do(f"connect {path} {name} 320 240") == "ok 4"
                    puppets[name].tell(f"run {lives}")
            published = sum(broker.tally.camera(c)[FrameEvent.PUBLISHED] for c in broker.tally.cameras)
            goal = published + dice.randrange(50, 200)
            eventually(
                lambda goal=goal: (
                    sum(broker.tally.camera(c)[FrameEvent.PUBLISHED] for c in broker.tally.cameras)
                    >= goal
                ),
                "more frames",
            )
            name = dice.choice(sorted(puppets))
            puppets.pop(name).kill()
            eventually(lambda name=name: name not in {s.camera for s in broker.status}, "its end")
            seen.pop(name, None)
            gc.collect()
            readings.append((now, process.memory_info().rss, open_fds()))
        for puppet in puppets.values():
            puppet.kill()
        eventually(lambda: broker.connections == 0, "the end of all")
    assert wrong == []
    half = readings[len(readings) // 2 :]
    assert max(fds for _, _, fds in half) - min(fds for _, _, fds in half) <= 8
    # The second half of the soak may not hold more memory than the first, but for a segment's size.
    middle, last = readings[len(readings) // 2][1], readings[-1][1]
    print(f"{lives} lives, RSS {middle >> 20} -> {last >> 20} MiB, fds {half[0][2]} -> {half[-1][2]}")
    assert last - middle < 8 << 20
