"""Signatures of bundles."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.bundle.keys import SigningKey
from edgefn.bundle.signing import BadSignature, Signature, decode_signature, sign, verify

KEY, OTHER = SigningKey(bytes(32)), SigningKey(b"\1" * 32)
DIGEST = "d" * 64
SIGNED = sign(KEY, DIGEST, sequence=1_700_000_000_000, expires_at=1_800_000_000_000)


def test_a_signature_is_its_keys_for_one_digest() -> None:
    """The same input gives the same signature, and it survives its encoding."""
    verify(SIGNED, DIGEST)
    assert SIGNED.key == KEY.public
    assert decode_signature(SIGNED.encode()) == SIGNED
    assert sign(KEY, DIGEST, sequence=1).encode() == sign(KEY, DIGEST, sequence=1).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"key": OTHER.public},
        {"key": "0" * 64},
        {"sequence": SIGNED.sequence + 1},
        {"expires_at": None},
        {"expires_at": SIGNED.expires_at + 1},
        {"signature": sign(OTHER, DIGEST, sequence=SIGNED.sequence).signature},
        {"signature": "0" * 128},
    ],
)
def test_whatever_is_changed_is_found(change: dict[str, object]) -> None:
    """Key, order, end and signature belong together."""
    with pytest.raises(BadSignature, match="changed after it was signed"):
        verify(msgspec.structs.replace(SIGNED, **change), DIGEST)


def test_a_signature_of_another_bundle_is_none_of_this() -> None:
    """Nor is one of the same digest for another purpose."""
    with pytest.raises(BadSignature, match="put together from two"):
        verify(SIGNED, "e" * 64)
    bare = msgspec.structs.replace(SIGNED, signature=KEY.sign(DIGEST.encode()).hex())
    with pytest.raises(BadSignature):
        verify(bare, DIGEST)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"\xff",
        b"[" * 5000,
        SIGNED.encode() + b" ",
        SIGNED.encode().replace(b":", b": ", 1),
        SIGNED.encode().replace(KEY.public.encode(), KEY.public.upper().encode()),
        SIGNED.encode().replace(KEY.public.encode(), KEY.public.encode() + b"\\n"),
        SIGNED.encode().replace(SIGNED.signature.encode(), SIGNED.signature.encode() + b"\\n"),
        SIGNED.encode().replace(b"1700000000000", b"1700000000000.0"),
        SIGNED.encode().replace(b"1700000000000", b"9007199254740992"),
    ],
)
def test_what_is_no_signature_is_refused(data: bytes) -> None:
    """Whatever it is, and in whatever other spelling."""
    with pytest.raises(BadSignature):
        decode_signature(data)


@given(data=st.data())
def test_no_bit_of_an_envelope_is_free(data: st.DataObject) -> None:
    """One that is flipped makes it another one's, another's, or none."""
    encoded = bytearray(SIGNED.encode())
    bit = data.draw(st.integers(0, len(encoded) * 8 - 1))
    encoded[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadSignature):
        verify(decode_signature(bytes(encoded)), DIGEST)


def test_an_envelope_is_small_and_readable() -> None:
    """A person who looks at one sees what it is."""
    fields = msgspec.json.decode(SIGNED.encode())
    assert list(fields) == ["key", "sequence", "expires_at", "signature"]
    assert isinstance(SIGNED, Signature) and len(SIGNED.encode()) < 400
