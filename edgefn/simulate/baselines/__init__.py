"""Other ways to route, in the place of the production router, for comparison."""

from edgefn.simulate.baselines.hedge_p95 import HedgeP95
from edgefn.simulate.baselines.infaas import InfaasAccurate, InfaasCheapest
from edgefn.simulate.baselines.least_outstanding import LeastOutstanding
from edgefn.simulate.baselines.perfect import Perfect
from edgefn.simulate.baselines.prequal import Prequal
from edgefn.simulate.baselines.proteus import Proteus
from edgefn.simulate.baselines.ray_serve import RayServe
from edgefn.simulate.baselines.round_robin import RoundRobin
from edgefn.simulate.baselines.two_choices import TwoChoices, TwoChoicesMixed
from edgefn.simulate.engine.ports import PolicyFactory

POLICIES: dict[str, PolicyFactory] = {
    "round_robin": lambda site, oracle: RoundRobin(),
    "least_outstanding": lambda site, oracle: LeastOutstanding(),
    "two_choices": lambda site, oracle: TwoChoices(),
    "two_choices_mixed": lambda site, oracle: TwoChoicesMixed(),
    "ray_serve": lambda site, oracle: RayServe(),
    "infaas_cheapest": lambda site, oracle: InfaasCheapest(),
    "infaas_accurate": lambda site, oracle: InfaasAccurate(),
    "prequal": lambda site, oracle: Prequal(oracle),
    "proteus": lambda site, oracle: Proteus(),
    "hedge_p95": lambda site, oracle: HedgeP95(),
    "perfect": Perfect,
}
