"""`python -m edgefn.gateway '<json of a GatewayConfig>'`: how a box starts a gateway."""

import logging
import sys

import msgspec

from edgefn.errors import ConfigError
from edgefn.gateway.control import GatewayConfig
from edgefn.gateway.process import run_gateway


def main() -> int:
    """Runs the gateway and returns its exit status: 0 told to stop, 1 box lost, 2 misconfigured."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s gateway %(levelname)s %(name)s: %(message)s"
    )
    try:
        config = msgspec.json.decode(" ".join(sys.argv[1:]), type=GatewayConfig)
        return run_gateway(config)
    except msgspec.MsgspecError as error:
        print(f"edgefn.gateway: its argument is no gateway configuration: {error}", file=sys.stderr)
    except ConfigError as error:
        print(f"edgefn.gateway: {error.message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
