"""How unusual is the newest reading of a sensor, compared with those before it?"""

from statistics import fmean, pstdev

from pydantic import BaseModel

from edgefn import InvalidInput, edge_function


class Verdict(BaseModel):
    """What is answered."""

    deviations: float
    unusual: bool


@edge_function(deadline_ms=50)
def my_function(readings: list[float], threshold: float = 3.0) -> Verdict:
    """Tell how many standard deviations the last reading is off, and whether that is unusual."""
    if len(readings) < 3:
        raise InvalidInput(f"readings: at least 3 are needed, {len(readings)} came")
    *earlier, newest = readings
    deviations = abs(newest - fmean(earlier)) / (pstdev(earlier) or 1.0)
    return Verdict(deviations=deviations, unusual=deviations > threshold)
