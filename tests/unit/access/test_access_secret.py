"""The text of access keys and join tokens."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.access.secret import Secret, new_key, new_token, parse_secret

FINGERPRINT = "ab" * 32


def test_what_is_kept_of_a_key_finds_and_proves_it_and_does_not_tell_it() -> None:
    """An id and one hash."""
    text, kept = new_key()
    assert text.startswith(f"efk_{kept.id}_")
    assert kept.sha256 == hashlib.sha256(text.encode()).digest()
    assert parse_secret(text) == kept
    assert text.rpartition("_")[2] not in repr(kept)


def test_a_token_carries_the_fingerprint_and_is_no_key() -> None:
    """Whoever changes the fingerprint has another token."""
    text, kept = new_token(FINGERPRINT)
    assert kept.fingerprint == FINGERPRINT
    other = parse_secret(text[:-64] + "cd" * 32)
    assert other is not None
    assert other.sha256 != kept.sha256


def test_no_two_are_alike_and_the_secret_has_256_bits() -> None:
    """52 characters of five bits each, the last of which has one."""
    texts = {new_key()[0] for _ in range(100)}
    assert len(texts) == 100
    assert {len(text.rpartition("_")[2]) for text in texts} == {52}


@pytest.mark.parametrize(
    "change",
    [
        lambda key, token: "",
        lambda key, token: key[:-1],
        lambda key, token: key + "a",
        lambda key, token: key.upper(),
        lambda key, token: " " + key,
        lambda key, token: key + "\n",
        lambda key, token: "efj_" + key[4:],
        lambda key, token: "efk_" + token[4:],
        lambda key, token: key.replace("efk", "efx"),
        lambda key, token: key + "_" + FINGERPRINT,
        lambda key, token: key[:-1] + "é",
    ],
)
def test_what_is_almost_a_key_is_none(change) -> None:  # type: ignore[no-untyped-def]
    """Not one character may differ in kind."""
    assert parse_secret(change(new_key()[0], new_token(FINGERPRINT)[0])) is None


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_not(text: str) -> None:
    """And never breaks."""
    assert parse_secret(text) is None or isinstance(parse_secret(text), Secret)
