"""What the reconciler does with a box that exists on paper only, and is killed again and again."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.box.following.memory import Memory
from edgefn.box.following.plan import FIRST_PAUSE_S
from edgefn.box.following.reconciler import Reconciler
from edgefn.desired.errors import HubUnreachable
from edgefn.desired.state import DesiredFunction, DesiredState
from edgefn.errors import DeploymentFailed
from edgefn_runtime.manifest import BundleFile, FunctionSchema, FunctionSpec, Manifest
from edgefn_runtime.variant import as_given

SCHEMA = FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=())


class Killed(BaseException):
    """The box is killed here."""


def manifest_of(name, content):
    spec = FunctionSpec(name=name)
    return Manifest(
        module="function.py",
        attribute=name,
        spec=spec,
        schema=SCHEMA,
        variants=(as_given(spec.models),),
        files=(BundleFile("function.py", 1, content * 64),),
    )


def wanted(name, content="a", revision=1):
    manifest = manifest_of(name, content)
    return DesiredFunction(
        name=name,
        revision=revision,
        digest=manifest.digest(),
        manifest=msgspec.Raw(manifest.encode()),
    )


def state(revision, *functions, trusted=None):
    return DesiredState(epoch="e", revision=revision, functions=functions, trusted=trusted)


class Disk:
    """What a box has that survives it."""

    def __init__(self, folder):
        self.folder = folder
        self.serving, self.files = {}, set()


class Box:
    """A box from its start to its end; `lives` counts the steps until it is killed."""

    def __init__(self, disk, lives=10**9):
        self.disk, self.lives, self.now_s = disk, lives, 0.0
        self.refused, self.cut, self.came = {}, False, asyncio.Event()
        self.damaged, self.followed, self.notes, self.trusted = set(), set(), [], []
        self.announced = {}
        self.memory = Memory.open(disk.folder, "fleet")
        self.reconciler = Reconciler(
            memory=self.memory,
            deployments=self,
            functions=self.functions(),
            fetcher=self,
            is_served=lambda manifest: manifest.spec.name != "elsewhere",
            clock=lambda: self.now_s,
        )

    def functions(self):
        known = {}
        for name, digest in self.disk.serving.items():
            known[name] = SimpleNamespace(
                serving=SimpleNamespace(digest=digest, is_announced=False), quarantined_because=""
            )
        self.known = known
        return known

    def live(self):
        self.lives -= 1
        if self.lives <= 0:
            raise Killed

    async def fetch(self, manifest, is_wanted):
        self.live()
        if self.cut:
            raise HubUnreachable("cut")
        assert is_wanted()
        self.disk.files.add(manifest.digest())
        self.live()

    async def follow(self, manifest, signature, *, trusted, note):
        self.live()
        name, digest = manifest.spec.name, manifest.digest()
        if digest in self.refused:
            raise DeploymentFailed(self.refused[digest])
        assert name == "elsewhere" or digest in self.disk.files
        self.disk.serving[name] = digest
        self.live()
        self.damaged.discard(name)
        self.known[name] = SimpleNamespace(
            serving=SimpleNamespace(digest=digest, is_announced=False), quarantined_because=""
        )
        self.notes.append(note)
        self.came.set()
        self.trusted.append(trusted)

    def announce(self, manifest, reason):
        name = manifest.spec.name
        known = self.known.get(name)
        if known is None or known.serving.is_announced:
            self.announced[name] = reason
            self.known[name] = SimpleNamespace(
                serving=SimpleNamespace(digest=manifest.digest(), is_announced=True),
                quarantined_because="",
            )

    async def drop(self, name):
        self.live()
        self.disk.serving.pop(name, None)
        self.live()
        self.known.pop(name, None)

    async def settle(self):
        """Carries out all there is to do now."""
        while await self.reconciler.act():
            pass


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


async def test_a_box_brings_what_is_wanted_and_removes_what_is_not_any_more(disk):
    """And what was its own stays; who brought what is told to operators."""
    disk.serving["own"] = "o"
    box = Box(disk)
    await box.settle()
    assert disk.serving == {"own": "o"}
    await box.memory.take(state(1, wanted("a"), wanted("b"), trusted=("key",)))
    await box.settle()
    assert sorted(disk.serving) == ["a", "b", "own"]
    assert (box.followed, box.trusted[0], box.notes[0]) == (
        {"a", "b"}, ("key",), "revision 1 of the hub",
    )  # fmt: skip
    await box.memory.take(state(2, wanted("b", "c", 2)))
    await box.settle()
    assert disk.serving == {"own": "o", "b": wanted("b", "c").digest}
    assert (box.followed, box.reconciler.tried) == ({"b"}, ("e", 2))


async def test_what_is_for_others_is_known_without_its_files(disk):
    """Nothing is fetched."""
    box = Box(disk)
    await box.memory.take(state(1, wanted("elsewhere")))
    await box.settle()
    assert (set(disk.serving), disk.files) == ({"elsewhere"}, set())


async def test_a_failure_keeps_what_serves_and_is_tried_again_later(disk):
    """At once if it is another bundle."""
    box = Box(disk)
    await box.memory.take(state(1, wanted("a")))
    await box.settle()
    bad, good = wanted("a", "b", 2), wanted("a", "c", 3)
    box.refused[bad.digest] = "it breaks"
    await box.memory.take(state(2, bad))
    await box.settle()
    failure = box.reconciler.failures["a"]
    assert (failure.reason, failure.tries, disk.serving["a"]) == (
        "it breaks",
        1,
        wanted("a").digest,
    )
    assert box.reconciler.tried == ("e", 2)
    box.now_s += FIRST_PAUSE_S
    await box.settle()
    assert box.reconciler.failures["a"].tries == 2
    await box.memory.take(state(3, good))
    await box.settle()
    assert (disk.serving["a"], box.reconciler.failures) == (good.digest, {})


async def test_a_cut_transfer_goes_on_soon(disk):
    """It is no failure of the bundle."""
    box = Box(disk)
    box.cut = True
    await box.memory.take(state(1, wanted("a")))
    await box.settle()
    assert box.reconciler.failures["a"].is_waiting
    box.cut, box.now_s = False, box.now_s + 1.0
    await box.settle()
    assert "a" in disk.serving


async def test_peers_answer_for_what_is_not_here_yet_or_fails(disk):
    """Not for what serves: an older revision does, until the new one can."""
    box = Box(disk)
    bad, good = wanted("a", "b"), wanted("a", "c", 2)
    box.refused[bad.digest] = "it breaks"
    await box.memory.take(state(1, bad))
    await box.settle()
    assert (box.announced, "a" in disk.serving) == ({"a": "it breaks"}, False)
    await box.memory.take(state(2, good))
    await box.settle()
    assert (box.announced, disk.serving["a"]) == ({"a": "it is on its way"}, good.digest)
    box.announced.clear()
    box.refused[wanted("a").digest] = "it breaks as well"
    await box.memory.take(state(3, wanted("a", "", 3)))
    await box.settle()
    assert (box.announced, disk.serving["a"]) == ({}, good.digest)


async def test_a_manifest_that_is_not_the_one_that_was_named_is_refused(disk):
    """Whoever sent it."""
    box = Box(disk)
    swapped = msgspec.structs.replace(wanted("a"), manifest=wanted("a", "b").manifest)
    await box.memory.take(state(1, swapped))
    await box.settle()
    assert "another bundle" in box.reconciler.failures["a"].reason
    assert not disk.serving


async def test_it_acts_when_it_is_told_to_look(disk):
    """And when a pause is over."""
    box = Box(disk)
    keeping = asyncio.ensure_future(box.reconciler.keep())
    await asyncio.sleep(0)
    await box.memory.take(state(1, wanted("a")))
    box.reconciler.look()
    async with asyncio.timeout(5.0):
        await box.came.wait()
    assert "a" in disk.serving
    keeping.cancel()
    await asyncio.wait((keeping,))


@settings(max_examples=40, deadline=None)
@given(
    states=st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "elsewhere"]), st.sampled_from("abc")),
        min_size=1,
        max_size=4,
    ),
    lives=st.lists(st.integers(1, 6), max_size=6),
)
def test_however_often_it_is_killed_it_arrives_at_what_is_wanted(tmp_path_factory, states, lives):
    """At whatever step; and its own function is never touched."""
    disk = Disk(tmp_path_factory.mktemp("disk"))
    disk.serving["own"] = "o"
    asyncio.run(follow_all(disk, states, lives))
    last = {name: wanted(name, content).digest for name, content in states[-1].items()}
    assert disk.serving == {"own": "o", **last}
    assert set(Memory.open(disk.folder, "fleet").brought) == set(last)


async def follow_all(disk, states, lives):
    remaining = list(lives)
    box = Box(disk, remaining.pop() if remaining else 10**9)
    for revision, content in enumerate(states, 1):
        functions = [wanted(name, one, revision) for name, one in sorted(content.items())]
        await box.memory.take(state(revision, *functions))
        while True:
            try:
                await box.settle()
                break
            except Killed:
                box = Box(disk, remaining.pop() if remaining else 10**9)
