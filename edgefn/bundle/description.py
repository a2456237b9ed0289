"""What a function file declares, as the process that imported it tells the one that asked."""

import msgspec

from edgefn.build_options import BuildOptions
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec


class Declared(msgspec.Struct, frozen=True):
    """One edge function of a file, under its name in the module."""

    attribute: str
    spec: FunctionSpec
    schema: FunctionSchema
    options: BuildOptions = BuildOptions()


class Description(msgspec.Struct, frozen=True):
    """What a file declares, or why it could not be imported.

    Attributes:
        functions: In the order of the file.
        imported: Modules of its folder that importing it imported, itself included; relative.
        error: Type and message of the exception, if it could not be imported.
        traceback: Of that exception, without the frames of edgefn and of the import system.
    """

    functions: tuple[Declared, ...] = ()
    imported: tuple[str, ...] = ()
    error: str = ""
    traceback: str = ""
