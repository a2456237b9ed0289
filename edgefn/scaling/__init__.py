"""How many replicas each function should have."""

from edgefn.scaling.scaler import FunctionLoad, Scaler, full_at

__all__ = ["FunctionLoad", "Scaler", "full_at"]
