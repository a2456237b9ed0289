"""What would become of a call whose body is still to come."""

from edgefn.routing.decisions import Refuse


def test_what_would_be_refused_is_told_without_being_counted(site_of, make_call):
    """With the reason of the decision that it would be; of what would be sent there is nothing."""
    site = site_of("a")
    site.warm(0.01, a=0.5)
    site.send(within_s=5.0)
    hopeless = make_call(deadline_s=site.now_s + 0.1)
    told = [site.router.refusal(site.now_s, hopeless) for _ in range(100)]
    assert {one.error.body().code for one in told} == {"deadline_unattainable"}
    patient = make_call(deadline_s=site.now_s + 5.0)
    for _ in range(300):  # more than an endpoint may hold
        assert site.router.refusal(site.now_s, patient) is None
    assert isinstance(site.decide(hopeless), Refuse)
    assert site.send(patient).endpoint == "a"


def test_all_reasons_are_known_ahead(site_of, make_site, make_call):
    """No function, no time, no variant."""
    known = {
        "unknown_function": make_site().router.refusal(0.0, make_call()),
        "deadline_unattainable": site_of("a").router.refusal(0.0, make_call(deadline_s=0.0)),
        "quarantined": site_of(quarantined="it dies").router.refusal(0.0, make_call()),
    }
    assert all(told.error.body().code == code for code, told in known.items())


def test_the_network_to_a_place_can_be_asked_for(site_of):
    """What is not a place has none."""
    assert 0.0 < site_of("a").router.network_s("") < 0.01
    assert site_of("a").router.network_s("nowhere") is None
