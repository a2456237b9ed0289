"""Bundles that a box must refuse: each with its status, the old revision serving on.

All tests share one box with one function, `victim`; the gateway must be the same process after it.
"""

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgefn.box.trust import TrustList
from edgefn.bundle.build import Bundle, build
from edgefn.bundle.content import Content
from edgefn.bundle.keys import SigningKey, config_dir, own_key
from edgefn.bundle.signing import Signature, sign
from edgefn.client import CallFailed
from edgefn.client.admin import AdminClient
from edgefn.errors import DeploymentFailed
from edgefn_runtime.manifest import MAX_FILES, BundleFile, Manifest

MakeBundle = Callable[[str], Bundle]

CODE = """
from edgefn import edge_function

@edge_function
def victim(x: int) -> int:
    return x + 1
"""
NOTHING = hashlib.sha256(b"").hexdigest()
STRANGER = SigningKey(b"\5" * 32)
FAR = 2**53 - 1


def post(box: Any, manifest: bytes, signature: bytes | None) -> tuple[int, str]:
    """Asks for a deployment; returns the status, and the code of the error."""
    body = b'{"manifest":' + manifest
    body += b"}" if signature is None else b',"signature":' + signature + b"}"
    return post_body(box, body)


def post_body(box: Any, body: bytes) -> tuple[int, str]:
    response = box.http.request("POST", f"{box.url}/admin/v1/deployments", body=body)
    return response.status, response.json().get("error", {}).get("code", "")


def signed(manifest: Manifest, key: SigningKey | None = None, **options: Any) -> Signature:
    """Returns a signature that is newer than all others, unless told otherwise."""
    signer = key or own_key(config_dir(os.environ))
    return sign(signer, manifest.digest(), **{"sequence": FAR, **options})


@pytest.fixture(scope="module")
def served(shared_box: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle of a function that serves in its second revision."""
    folder = tmp_path_factory.mktemp("victim")
    (folder / "function.py").write_text(CODE)
    for _ in range(2):
        (bundle,) = build(str(folder))
        shared_box.admin.deploy(bundle)
    return bundle


@pytest.fixture
def victim(shared_box: Any, served: Bundle) -> Iterator[Bundle]:
    """The same for one attack, after which it must serve just as before."""
    before = observed(shared_box)
    yield served
    assert observed(shared_box) == before


def observed(box: Any) -> list[Any]:
    """Returns what no attack may change."""
    function = box.admin.function("victim")
    response = box.call("victim", x=1)
    return [
        (function.revision, function.digest, function.state, function.deaths),
        (response.status, response.json()),
        [one.pid for one in box.replicas("victim")],
        [one.pid for one in box.admin.status().gateways],
    ]


def with_files(manifest: Manifest, *files: BundleFile) -> Manifest:
    return msgspec.structs.replace(manifest, files=(*manifest.files, *files))


@pytest.mark.parametrize(
    "path",
    [
        "../x", "/etc/passwd", "a/../../b", "a\\b", "a\0b", "x" * 256, "", ".", "a//b", "a/",
        "FUNCTION.PY", "function.py", "function.py/x", "d/" * 600 + "x",
    ],
)  # fmt: skip
def test_a_path_that_is_not_one_plain_place(shared_box: Any, victim: Bundle, path: str) -> None:
    """Traversal, other systems' separators, names too long, and names that clash."""
    manifest = with_files(victim.manifest, BundleFile(path, 0, NOTHING))
    answer = post(shared_box, manifest.encode(), signed(manifest).encode())
    assert answer == (422, "invalid_manifest")


def test_names_that_compose_to_the_same(shared_box: Any, victim: Bundle) -> None:
    """They are one file on some systems."""
    names = ("caf\u00e9", "cafe\u0301")
    manifest = with_files(victim.manifest, *(BundleFile(name, 0, NOTHING) for name in names))
    answer = post(shared_box, manifest.encode(), signed(manifest).encode())
    assert answer == (422, "invalid_manifest")


@pytest.mark.parametrize("field", ["link", "mode", "device", "type"])
def test_a_file_is_a_file(shared_box: Any, victim: Bundle, field: str) -> None:
    """Links and devices cannot even be said."""
    raw = json.loads(victim.manifest.encode())
    raw["files"][0][field] = "/etc/passwd"
    answer = post(shared_box, json.dumps(raw).encode(), victim.signature.encode())
    assert answer == (422, "invalid_manifest")


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([BundleFile(f"f{n}", 0, NOTHING) for n in range(MAX_FILES)], "bundle_too_large"),
        ([BundleFile("large", 1 << 40, "1" * 64)], "bundle_too_large"),
        ([BundleFile(f"f{n}", 1 << 28, f"{n:064}") for n in range(3)], "bundle_too_large"),
        ([BundleFile("n" * 4_000_000, 0, NOTHING)], "bundle_too_large"),
        ([BundleFile("n" * 5_000_000, 0, NOTHING)], "body_too_large"),
    ],
)
def test_what_would_fill_the_disk(
    shared_box: Any, victim: Bundle, files: list[BundleFile], code: str
) -> None:
    """Too many files, too large ones, too long a list of them."""
    manifest = with_files(victim.manifest, *files)
    answer = post(shared_box, manifest.encode(), signed(manifest).encode())
    assert answer == (413, code)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (BundleFile("lacking", 5, "1" * 64), "blob_missing"),
        (BundleFile("resized", 5, NOTHING), "digest_mismatch"),
        (BundleFile("shouted", 5, "A" * 64), "invalid_manifest"),
        (BundleFile("negative", -1, NOTHING), "invalid_manifest"),
    ],
)
def test_a_file_that_is_not_what_the_manifest_says(
    shared_box: Any, victim: Bundle, file: BundleFile, code: str
) -> None:
    """Missing, or of another size; one that was never listed is never written out."""
    path = f"{shared_box.url}/admin/v1/blobs/{NOTHING}"
    assert shared_box.http.request("PUT", path, body=b"").status == 201
    manifest = with_files(victim.manifest, file)
    answer = post(shared_box, manifest.encode(), signed(manifest).encode())
    assert answer == (422, code)


def test_bytes_under_a_wrong_digest(shared_box: Any, victim: Bundle) -> None:
    """They are not kept."""
    digest = hashlib.sha256(b"right").hexdigest()
    for query in ("", "?offset=0&size=5"):
        path = f"{shared_box.url}/admin/v1/blobs/{digest}{query}"
        response = shared_box.http.request("PUT", path, body=b"wrong")
        assert (response.status, response.json()["error"]["code"]) == (422, "digest_mismatch")
    missing = {"digests": [digest]}
    response = shared_box.http.request(
        "POST", f"{shared_box.url}/admin/v1/blobs/missing", json=missing
    )
    assert response.json() == {"missing": [digest], "partial": {}}


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda m: None, 403, "untrusted"),
        (lambda m: signed(m, STRANGER).encode(), 403, "untrusted"),
        (lambda m: signed(m, expires_at=1).encode(), 403, "expired"),
        (lambda m: signed(m, sequence=1).encode(), 409, "older"),
        (lambda m: b'"signed"', 403, "bad_signature"),
        (lambda m: signed(m).encode().replace(b":", b": "), 403, "bad_signature"),
        (lambda m: signed(m).encode().replace(str(FAR).encode(), b"5"), 403, "bad_signature"),
        (
            lambda m: msgspec.structs.replace(signed(m, STRANGER), key=signed(m).key).encode(),
            403,
            "bad_signature",
        ),
    ],
)
def test_a_signature_that_does_not_count(
    shared_box: Any,
    victim: Bundle,
    make: Callable[[Manifest], bytes | None],
    status: int,
    code: str,
) -> None:
    """None, a stranger's, one for another time, and one that was tampered with."""
    manifest = msgspec.structs.replace(victim.manifest, runtime=">=0.0.1")
    answer = post(shared_box, manifest.encode(), make(manifest))
    assert answer == (status, code)


def test_a_bundle_that_is_put_together_from_two(
    shared_box: Any, victim: Bundle, make_bundle: MakeBundle
) -> None:
    """Each good in itself."""
    other = make_bundle(CODE.replace("x + 1", "x + 2"))
    answer = post(shared_box, victim.manifest.encode(), other.signature.encode())
    assert answer == (403, "bad_signature")


def test_the_newest_bundle_may_come_again(shared_box: Any, make_bundle: MakeBundle) -> None:
    """As after an answer that was lost; the one before it only through a rollback."""
    bundles = [make_bundle(CODE.replace("victim", "again") + f"# {n}\n") for n in range(2)]
    for bundle in (*bundles, bundles[1]):
        shared_box.admin.deploy(bundle)
    with pytest.raises(CallFailed, match="edgefn rollback") as caught:
        shared_box.admin.deploy(bundles[0])
    assert caught.value.detail["code"] == "older"
    shared_box.admin.rollback("again", 1)
    with pytest.raises(CallFailed, match="edgefn rollback"):
        shared_box.admin.deploy(bundles[0])
    assert shared_box.admin.deploy(bundles[1]).revision == 5


def test_a_key_that_is_trusted_no_longer(shared_box: Any, victim: Bundle) -> None:
    """What it signed serves on, and does not come back; what is trusted now is deployed."""
    trusted = TrustList(shared_box.state_dir)
    trusted.add(STRANGER.public)
    try:
        answer = post(shared_box, victim.manifest.encode(), signed(victim.manifest).encode())
        assert answer == (403, "untrusted")
        with pytest.raises(CallFailed, match="not trust"):
            shared_box.admin.rollback("victim", 1)
        spec = msgspec.structs.replace(victim.manifest.spec, name="foreign")
        manifest = msgspec.structs.replace(victim.manifest, spec=spec)
        answer = post(shared_box, manifest.encode(), signed(manifest, STRANGER).encode())
        assert answer == (422, "deployment_failed")  # trusted, and not what its code declares
    finally:
        trusted.path.unlink()


def test_a_body_with_one_bit_flipped(shared_box: Any, victim: Bundle) -> None:
    """Wherever it is."""
    signature = signed(victim.manifest).encode()
    body = b'{"manifest":' + victim.manifest.encode() + b',"signature":' + signature + b"}"
    chance = random.Random(7)
    for _ in range(200):
        flipped = bytearray(body)
        flipped[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        status, _ = post_body(shared_box, bytes(flipped))
        assert status in (400, 403, 413, 422)


ON_THE_BOX = "import os, sys\nif 'revisions' in os.getcwd():\n    "


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (CODE + ON_THE_BOX + "import no_such_module", "no_such_module"),
        (CODE + "def f(:\n", "SyntaxError"),
        (CODE + ON_THE_BOX + "sys.exit(3)", "SystemExit"),
        (CODE + ON_THE_BOX + "os._exit(4)", "victim does not start"),
        (CODE + ON_THE_BOX + "os.abort()", "victim does not start"),
        (CODE + ON_THE_BOX + "raise KeyboardInterrupt", "victim does not start"),
        (CODE.replace("x: int", "x: float"), "declares another"),
        ("x = 1\n", "victim"),
    ],
)
def test_code_that_does_not_come_up(
    shared_box: Any, victim: Bundle, tmp_path: Path, code: str, named: str
) -> None:
    """It fails the deployment, not the function; the history says why."""
    path = tmp_path / "crafted.py"
    path.write_text(code)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    crafted = msgspec.structs.replace(
        victim.manifest, files=(BundleFile("function.py", len(data), digest),)
    )
    bundle = Bundle(
        manifest=crafted,
        files={digest: Content(path=path, size=len(data))},
        signature=signed(crafted),
    )
    with pytest.raises(DeploymentFailed, match=named):
        shared_box.admin.deploy(bundle)
    newest = shared_box.admin.history("victim")[0]
    assert (newest.state, named in newest.reason) == ("failed", True)


def test_code_that_writes_where_it_lies(
    shared_box: Any, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    """A revision that comes back is written out again, as it was signed."""
    code = CODE.replace("victim", "scribbler")
    scribbled = code + ON_THE_BOX + "open('scribble.txt', 'w').write('x')\n"
    shared_box.admin.deploy(make_bundle(scribbled))
    shared_box.admin.deploy(make_bundle(code))
    assert shared_box.admin.rollback("scribbler").revision == 3
    response = shared_box.call("scribbler", x=1)
    assert (response.status, response.json()) == (200, 2)


def test_a_bundle_for_another_version(shared_box: Any, victim: Bundle) -> None:
    """The box says which one it would take."""
    manifest = msgspec.structs.replace(victim.manifest, runtime=">=99")
    signature = signed(manifest)
    bundle = Bundle(manifest=manifest, files=victim.files, signature=signature)
    with pytest.raises(DeploymentFailed, match="needs edgefn >=99"):
        AdminClient(shared_box.url).deploy(bundle)
