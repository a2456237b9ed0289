"""The platform's errors, beside those of a call (`edgefn_runtime.errors`).

EdgefnError
├── (all of edgefn_runtime.errors)
├── DeclarationError        a function is declared wrongly; raised at import
├── ConfigError             an option or a configuration value is wrong
├── StateLocked             another box uses the state directory
├── NotDeployed             no such function on this box
├── DeploymentFailed        a new revision did not come up; the old one keeps serving
├── UnknownVariant          the function has no variant of that name
├── VariantUnavailable      a variant that this box cannot serve
├── AccuracyUnattainable    no variant was measured to be as good as a call asks for
└── Quarantined             a function died too often and is not started any more
"""

from edgefn_runtime.errors import (
    DeadlineExceeded,
    DeadlineUnattainable,
    EdgefnError,
    ErrorBody,
    FunctionFailed,
    InvalidInput,
    LoadFailed,
    ProtocolError,
    QueueFull,
    ReplicaLost,
    TimedOut,
)

__all__ = [
    "AccuracyUnattainable",
    "ConfigError",
    "DeadlineExceeded",
    "DeadlineUnattainable",
    "DeclarationError",
    "DeploymentFailed",
    "EdgefnError",
    "ErrorBody",
    "FunctionFailed",
    "InvalidInput",
    "LoadFailed",
    "NotDeployed",
    "ProtocolError",
    "Quarantined",
    "QueueFull",
    "ReplicaLost",
    "StateLocked",
    "TimedOut",
    "UnknownVariant",
    "VariantUnavailable",
]


class DeclarationError(EdgefnError):
    """A function is declared wrongly. The message says what to write instead."""

    code = "invalid_declaration"


class ConfigError(EdgefnError):
    """An option or a configuration value is wrong."""

    code = "invalid_config"


class StateLocked(EdgefnError):
    """Another box uses the same state directory."""

    code = "conflict"


class NotDeployed(EdgefnError):
    """No function of that name is deployed here."""

    code = "unknown_function"


class DeploymentFailed(EdgefnError):
    """A new revision did not come up. The old one, if any, keeps serving."""

    code = "deployment_failed"


class UnknownVariant(EdgefnError):
    """The function has no variant of that name."""

    code = "unknown_variant"


class VariantUnavailable(EdgefnError):
    """This box cannot serve the variant; another box may."""

    code = "variant_unavailable"


class AccuracyUnattainable(EdgefnError):
    """No variant was measured to be as good as a call asks for."""

    code = "accuracy_unattainable"


class Quarantined(EdgefnError):
    """A function died too often in a short time; deploy a fixed revision."""

    code = "quarantined"
