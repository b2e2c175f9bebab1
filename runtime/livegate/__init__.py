"""LiveGate: face liveness on the box next to the door, without a cloud."""

__version__ = "0.1.0"
