"""The box process: owns the sockets, starts gateways and replicas, remembers what is deployed."""

from edgefn.box.config import BoxConfig
from edgefn.box.run import run_box

__all__ = ["BoxConfig", "run_box"]
