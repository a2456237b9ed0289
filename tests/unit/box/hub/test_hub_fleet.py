"""A hub without a network: what it wants, what it knows, and what its leases are told."""

import asyncio
import time
from contextlib import asynccontextmanager

import msgspec
import pytest

from edgefn.access.orders import Listed, ListedCertificate
from edgefn.access.table import AccessTable
from edgefn.box.access_errors import Refused
from edgefn.box.hub.admin import HUB_ROUTES
from edgefn.box.hub.desired import Desired
from edgefn.box.hub.hub import Hub
from edgefn.desired.report import LOST_S, BoxReport, FunctionReport, VariantReport
from edgefn.desired.state import DesiredState, RayHead
from edgefn.errors import ConfigError, InvalidInput
from edgefn.gateway.control import Ask
from edgefn_runtime.leasing import Joined, Pool

RAY = RayHead(address="10.0.0.1:6379", token="t")


class FakeAccess:
    """Certificates of some boxes."""

    def __init__(self, *boxes):
        self.table = AccessTable()
        self.boxes = boxes

    def listed(self):
        return Listed(
            keys=(),
            certificates=tuple(
                ListedCertificate(
                    kind="box",
                    name=name,
                    serial="1",
                    functions=(),
                    tls_names=(),
                    issued_s=0.0,
                    expires_s=1.0,
                )
                for name in self.boxes
            ),
            fingerprint="",
        )

    async def ask(self, order):
        return order(self)


def report(box, wanted=0, **fields):
    variants = (VariantReport(name="fp32", wanted=wanted),)
    return BoxReport(
        box=box, version="1", boot_id="b",
        functions=(FunctionReport(name="f", digest="d", variants=variants),),
        **{"tier": "edge", "site": "s", "has_ray": True, **fields},
    )  # fmt: skip


class Site:
    """A hub, and all that it is told."""

    def __init__(self, path):
        self.path = path
        self.access = FakeAccess("plant-1", "cloud-2")
        self.serving, self.trusted = [], None
        self.own = report("hub", wanted=1, tier="cloud", site="c")

    @asynccontextmanager
    async def hub(self, has_ray=True):
        desired = await Desired.open(self.path)
        try:
            yield Hub(
                desired=desired, access=self.access, serving=lambda: self.serving,
                trusted=lambda: self.read_trusted(), own_report=lambda: self.own, has_ray=has_ray,
            )  # fmt: skip
        finally:
            await desired.aclose()

    def read_trusted(self):
        if isinstance(self.trusted, Exception):
            raise self.trusted
        return self.trusted


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "hub.db")


async def told(hub):
    return msgspec.json.decode(await hub.pull("plant-1", "1", "", 0, 0.0), type=DesiredState)


async def test_it_wants_what_serves_on_it(site, make_revision):
    """As often as it looks, one number for one state."""
    async with site.hub() as hub:
        await hub.look()
        site.serving = [make_revision("voice")]
        for _ in range(3):
            await hub.look()
        state = await told(hub)
    assert [one.name for one in state.functions] == ["voice"]
    assert state.revision == 2


async def test_what_cannot_be_read_changes_nothing(site, caplog):
    """A damaged list of trusted keys is no list of nobody."""
    site.trusted = ("k",)
    async with site.hub() as hub:
        await hub.look()
        site.trusted = ConfigError("trusted_keys, line 1: it is damaged")
        await hub.look()
        await hub.look()
        assert (await told(hub)).trusted == ("k",)
    assert caplog.text.count("line 1") == 1


async def test_the_counts_of_all_live_boxes_are_added_up_by_site(site):
    """The hub's own as well; a box without a certificate that counts has none."""
    async with site.hub() as hub:
        hub.report(report("plant-1", wanted=2), "plant-1")
        hub.report(report("cloud-2", wanted=3, tier="cloud", site="c"), "cloud-2")
        await hub.look()
        edge = Pool(function="f", variant="fp32", tier="edge", site="s", count=2)
        cloud = Pool(function="f", variant="fp32", tier="cloud", site="c", count=4)
        assert hub.now().pools == (cloud, edge)
        site.access.boxes = ("plant-1",)
        await hub.look()
        assert hub.now().pools == (msgspec.structs.replace(cloud, count=1), edge)


async def test_a_hub_that_just_started_has_nothing_given_back(site, monkeypatch):
    """Until each box said what it needs, or is lost, what Ray holds stays."""
    async with site.hub() as hub:
        assert hub.now().pools is None
        await hub.look()
        hub.report(report("plant-1", wanted=2), "plant-1")
        await hub.look()
        assert hub.now().pools is None
        began_s = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: began_s + LOST_S + 1.0)
        hub.report(report("plant-1", wanted=2), "plant-1")
        assert [one.count for one in hub.now().pools] == [1, 2]


async def test_who_watches_is_told_of_each_change(site):
    """Of what boxes report, and of what the hub itself wants."""
    site.access.boxes = ("plant-1",)
    async with site.hub() as hub:
        await hub.look()
        known = hub.now()
        watch = asyncio.create_task(hub.changed(known))
        await hub.look()
        assert not watch.done()
        hub.report(report("plant-1", wanted=2), "plant-1")
        await hub.look()
        known = await watch
        assert len(known.pools) == 2
        site.own = report("hub", wanted=5, tier="cloud", site="c")
        assert (await hub.changed(known)).pools[0].count == 5


async def test_a_ray_cluster_is_told_and_remembered(site):
    """A head that is started again has the token that the boxes know."""
    async with site.hub() as hub:
        hub.joined(Joined(in_cluster=False, reason="it is being started"))
        await hub.look()
        assert (await told(hub)).ray is None and not hub.in_cluster
        hub.joined(Joined(in_cluster=True, address=RAY.address, token=RAY.token))
        await hub.look()
        assert (await told(hub)).ray == RAY and hub.in_cluster
        assert (hub.now().head, hub.now().token) == ("", RAY.token)
        hub.joined(Joined(in_cluster=False, reason="it died"))
        await hub.look()
        assert (await told(hub)).ray == RAY and not hub.in_cluster
        before = (await told(hub)).revision
    async with site.hub() as hub:
        await hub.look()
        assert (await told(hub)).revision == before
        assert hub.now().token == RAY.token
        hub.joined(Joined(in_cluster=True, address="10.0.0.2:6379"))
        await hub.look()
        assert (await told(hub)).ray == RayHead(address="10.0.0.2:6379", token="t")
        assert (await hub.status()).ray == "10.0.0.2:6379"


async def test_without_ray_there_is_no_cluster_any_more(site):
    """Boxes that would join one are told so."""
    async with site.hub() as hub:
        hub.joined(Joined(in_cluster=True, address=RAY.address, token=RAY.token))
        await hub.look()
    async with site.hub(has_ray=False) as hub:
        await hub.look()
        assert (await told(hub)).ray is None


async def test_the_fleet_has_all_that_have_a_certificate(site, make_revision):
    """The hub first; who was not heard of is lost."""
    site.serving = [make_revision("voice", tiers=("edge",))]
    async with site.hub() as hub:
        await hub.look()
        hub.report(report("plant-1"), "plant-1")
        status = await hub.status()
    assert [(one.box, one.state, one.is_hub) for one in status.boxes] == [
        ("hub", "up", True), ("cloud-2", "lost", False), ("plant-1", "up", False),
    ]  # fmt: skip
    assert [(one.name, one.tiers) for one in status.functions] == [("voice", ("edge",))]
    assert status.revision == 1


async def test_a_box_that_is_revoked_while_it_waits_hears_no_more(site):
    """Its connection was let in before."""
    async with site.hub() as hub:
        await hub.look()
        state = await told(hub)
        waits = asyncio.create_task(hub.pull("plant-1", "1f", state.epoch, state.revision, 30.0))
        await asyncio.sleep(0)
        site.access.table = AccessTable(revoked=("1f",))
        await hub.look()
        with pytest.raises(Refused, match="was revoked"):
            await waits
        assert (await told(hub)).access.revoked == ("1f",)


@pytest.mark.parametrize(
    ("path", "method", "query", "body", "told"),
    [
        ("/fleet/v1/desired", "GET", {"revision": "-1"}, b"", "revision"),
        ("/fleet/v1/desired", "GET", {"wait_s": "soon"}, b"", "wait_s"),
        ("/fleet/v1/report", "POST", {}, b"{}", "no report of a box"),
        ("/fleet/v1/report", "POST", {}, b"[" * 5000, "no report of a box"),
    ],
)
async def test_what_boxes_send_is_checked(site, path, method, query, body, told):
    """The answer says what is wrong."""
    ask = Ask(1, method, path, query, body, "1", "plant-1")
    async with site.hub() as hub:
        with pytest.raises(InvalidInput, match=told):
            await HUB_ROUTES[path][method](hub, ask)


async def test_a_hub_that_just_started_expects_its_boxes(site):
    """Nobody is alarmed by its restart."""
    site.own = report("hub", started_s=time.time())
    async with site.hub() as hub:
        await hub.look()
        states = {one.box: one.state for one in (await hub.status()).boxes}
    assert states == {"hub": "up", "cloud-2": "expected", "plant-1": "expected"}


async def test_a_box_with_a_wrong_clock_hides_no_other(site):
    """Its report is shown like any other."""
    async with site.hub() as hub:
        await hub.look()
        hub.report(report("plant-1", started_s=1e300), "plant-1")
        assert [one.since[:4] for one in (await hub.status()).boxes] == ["1970", "1970", "9999"]
