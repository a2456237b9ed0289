"""Builds of one folder keep out of each other's way."""

from pathlib import Path

import pytest

from edgefn.bundle.build_lock import only_build_of
from edgefn.bundle.gather import BuildFailed


def test_a_second_build_of_a_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    """However the first one ended; other folders are nobody's affair."""
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(KeyboardInterrupt), only_build_of(tmp_path):
        with pytest.raises(BuildFailed, match="another `edgefn build` works in"):
            only_build_of(tmp_path).__enter__()
        with only_build_of(other):
            raise KeyboardInterrupt
    with only_build_of(tmp_path):
        assert not any(other.iterdir()), "nothing is left behind"
