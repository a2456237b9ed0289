"""Whether a bundle is for a machine like this one, as far as that shows before it is tried."""

import logging

import edgefn
from edgefn.box.compatibility import check_runtime
from edgefn.box.requirements import check_requirements
from edgefn.box.revision import Revision
from edgefn.box.wheels import check_environment, this_machine
from edgefn.errors import DeploymentFailed

_log = logging.getLogger(__name__)


def check_fits(revision: Revision) -> None:
    """Makes sure that a bundle is for a machine like this one.

    Raises:
        DeploymentFailed: It is for another version of edgefn, or needs what there is not.
        InvalidLock: What it needs cannot be read.
    """
    manifest = revision.manifest
    check_runtime(manifest.runtime, edgefn.__version__)
    if manifest.environment is None:
        check_requirements(revision.spec.requirements)
    else:
        check_environment(manifest, this_machine())


def may_be_tried(revision: Revision) -> bool:
    """Whether a bundle that is for other boxes could run on this one as well."""
    try:
        check_fits(revision)
    except DeploymentFailed as error:
        _log.info("%s was not tried here: %s", revision.function, error.message)
        return False
    return not revision.unservable_because
