"""Visual inspection at a press, as far as the fleet demo needs it: it takes time, and nothing else.

All boxes of the demo share the processors of one machine, so that what computes would be as slow in
the cloud as at the edge, once the edge is full. What waits for a device of each box is not.
"""

import time

from edgefn import edge_function

DEVICE_S = 0.04  # so a box inspects 25 parts a second


@edge_function(deadline_ms=400, scale=(1, 1, 300), idempotent=True)
def inspection(part: int) -> int:
    """Return the number of the part, when the device is done with it."""
    time.sleep(DEVICE_S)
    return part
