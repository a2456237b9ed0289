"""What a box is told at its start."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxConfig:
    """The whole configuration of a box.

    Attributes:
        state_dir: Where it keeps what must survive it; made if missing.
        host: Address to listen on; anything but a loopback one needs `insecure`.
        port: Port to listen on; 0: any free one.
        gateways: Gateway processes, which share the port.
        tier: Service class of the box, told in the `Edgefn-Tier` header.
        name: Of the box, told in the `Edgefn-Box` header.
        insecure: Allows an address that others can reach, without keys or TLS.
        site: Where it stands; empty: a site of its own.
        peer_host: Address on which other boxes reach its gateways; a loopback one for now.
        peer_port: Port for them; 0: any free one; None: none may.
        peers: Other boxes, which its gateways dial: their peer addresses, as `host:port`.
        listen: Where others reach it, with TLS and keys, as `host:port`; empty: nowhere.
        hub: Whether it signs the certificates of a fleet.
        tls_names: Host names and addresses under which others reach it, beside those it finds.
        tls_cert: The operator's own certificate for callers, instead of one of the fleet.
        tls_key: Private key of that.
        ray: Whether it is part of the Ray cluster of its fleet.
        ray_host: Address that Ray's ports are bound to; empty: where others reach it.
    """

    state_dir: Path
    host: str = "127.0.0.1"
    port: int = 8080
    gateways: int = 1
    tier: str = "edge"
    name: str = "box"
    insecure: bool = False
    site: str = ""
    peer_host: str = "127.0.0.1"
    peer_port: int | None = None
    peers: tuple[str, ...] = ()
    listen: str = ""
    hub: bool = False
    tls_names: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    ray: bool = False
    ray_host: str = ""
