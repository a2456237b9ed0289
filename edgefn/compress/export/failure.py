"""What cannot become an ONNX model."""

from edgefn.errors import EdgefnError


class ExportFailed(EdgefnError):
    """A model cannot be exported to ONNX, or answers otherwise there; says why and what to do."""

    code = "export_failed"
