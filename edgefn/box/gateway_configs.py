"""What the gateways of a box are told at their start."""

from edgefn.box.config import BoxConfig
from edgefn.box.fleet_config import tls_files, upstreams
from edgefn.gateway.control import GatewayConfig


def gateway_configs(config: BoxConfig) -> list[GatewayConfig]:
    """Returns it, for each of them."""
    return [
        GatewayConfig(
            gateway=number,
            box=config.name,
            tier=config.tier,
            listen_fd=-1,  # known when it is started
            control_fd=-1,
            store=str(config.state_dir / "blobs"),
            site=site_of(config),
            peers=config.peers,
            tls=tls_files(config),
            upstreams=upstreams(config),
        )
        for number in range(config.gateways)
    ]


def site_of(config: BoxConfig) -> str:
    """Returns where a box stands; if nobody said so, at a site of its own."""
    return config.site or config.name
