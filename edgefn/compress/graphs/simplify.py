"""The same ONNX model with what is constant folded, and what goes together fused (onnxslim)."""

import copy
import logging
from typing import TYPE_CHECKING

from edgefn.compress.tools import calling

if TYPE_CHECKING:
    import onnx


def simplified(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Returns a simplified copy.

    Raises:
        RecipeFailed: onnxslim does not work on this model.
    """
    logger, guard = logging.getLogger("onnxslim"), logging.NullHandler()
    logger.addHandler(guard)  # onnxslim would write to stderr by a handler of its own
    try:
        with calling("onnxslim"):
            import onnxruntime
            import onnxslim

            slim: onnx.ModelProto = onnxslim.slim(copy.deepcopy(model))
            onnxruntime.set_default_logger_severity(2)  # its default, which onnxslim changes
    finally:
        logger.removeHandler(guard)
    slim.ir_version = model.ir_version
    return slim
