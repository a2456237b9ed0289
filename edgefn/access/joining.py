"""A box fetches its certificate from a hub, and later a newer one. Everything here blocks.

Joining trusts nothing but the fingerprint in the token:

1. Ask whoever answers for the certificate of the fleet's authority; its fingerprint must be that of
   the token, so that it does not matter who answered.
2. Connect again, now trusting that authority alone; whoever answers must be its hub.
3. Only then show the token, once, with a request for a certificate.
"""

import http.client
import socket
import ssl
from contextlib import ExitStack
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from edgefn.access.certificates import (
    certificate_pem,
    check_issued,
    fingerprint_of,
    make_request,
    new_private_key,
    private_pem,
    read_certificate,
)
from edgefn.access.files import AccessFiles
from edgefn.access.identity import identity_of
from edgefn.access.secret import parse_secret
from edgefn.access.tls import FLEET_NAME, fleet_context, unverified_context
from edgefn.errors import ConfigError, EdgefnError

TIMEOUT_S: Final = 15.0
DEFAULT_PORT: Final = 8443
_MAX_REPLY_BYTES: Final = 64 * 1024
T = TypeVar("T")

_TRIES: Final = 3  # of showing the token: the hub answers the same key again


class JoinFailed(EdgefnError):
    """A hub did not take this box, or it is not the hub that was meant."""

    code = "join_failed"


class AuthorityReply(msgspec.Struct, frozen=True):
    """The certificate of a fleet's authority."""

    certificate: str


class IssueRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a box or device sends. `name` is that of the box; not for a renewal."""

    request: str
    name: str = ""


class IssueReply(msgspec.Struct, frozen=True, kw_only=True):
    """What it gets."""

    certificate: str


def join(url: str, token: str, name: str, files: AccessFiles) -> None:
    """Joins a fleet: fetches a certificate, and keeps it.

    Args:
        url: Of the hub.
        token: As `edgefn key join` showed it.
        name: Of this box.
        files: Where it is kept.

    Raises:
        ConfigError: The token is none, or a file cannot be written.
        JoinFailed: The hub cannot be reached, is not the one of the token, or refuses.
        WrongCertificate: What it sent is not what was asked for.
    """
    secret = parse_secret(token.strip())
    if secret is None or not secret.fingerprint:
        raise ConfigError("the join token is none: it begins with efj_; see edgefn key join")
    authority = fetch_authority(url, secret.fingerprint)
    key = new_private_key()
    ask = IssueRequest(request=make_request(key), name=name)
    headers = {"Authorization": f"Bearer {token.strip()}"}
    reply = _ask_hub(url, fleet_context(authority), "/fleet/v1/join", ask, headers)
    files.joined(url, secret.id, authority, _checked_pair(reply, authority, key))


def renew(url: str, files: AccessFiles) -> None:
    """Fetches a newer certificate for a box that has one, with a new key, and keeps it.

    Raises:
        JoinFailed: The hub cannot be reached, or refuses.
        WrongCertificate: What it sent is not what was asked for.
        ConfigError: A file cannot be read or written.
    """
    authority = files.fleet.read_text(encoding="ascii")
    key = new_private_key()
    context = fleet_context(authority, files.certificate)
    ask = IssueRequest(request=make_request(key))
    reply = _ask_hub(url, context, "/fleet/v1/renew", ask, {})
    files.joined(url, files.token(), authority, _checked_pair(reply, authority, key))


def fetch_authority(url: str, fingerprint: str) -> str:
    """Returns the certificate of the authority with this fingerprint, whoever sends it.

    Raises:
        JoinFailed: Nobody answers, or what answers has another authority.
    """
    reply = _exchange(url, unverified_context(), "GET", "/fleet/v1/authority", None, {})
    pem = _decode(reply, AuthorityReply).certificate
    found = fingerprint_of(pem)
    if found != fingerprint:
        raise JoinFailed(
            f"whoever answers at {url} is not the hub that is meant: its authority has fingerprint "
            f"{found}, not {fingerprint}"
        )
    return certificate_pem(read_certificate(pem))  # and nothing that stood beside it


def address_of(url: str) -> tuple[str, int]:
    """Returns host and port of a hub.

    Raises:
        ConfigError: It is not the https URL of a hub.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/"):
        raise ConfigError(f"{url!r} is not the URL of a hub: write it like https://hub:8443")
    return parts.hostname, parts.port or DEFAULT_PORT


def _checked_pair(reply: bytes, authority: str, key: ec.EllipticCurvePrivateKey) -> str:
    certificate = read_certificate(_decode(reply, IssueReply).certificate)
    check_issued(certificate, read_certificate(authority), key)
    return private_pem(key) + certificate_pem(certificate)


def _ask_hub(
    url: str, context: ssl.SSLContext, path: str, ask: IssueRequest, headers: dict[str, str]
) -> bytes:
    for attempt in range(1, _TRIES + 1):
        try:
            return _exchange(url, context, "POST", path, msgspec.json.encode(ask), headers)
        except _Interrupted as error:
            if attempt == _TRIES:
                raise JoinFailed(error.message) from error
    raise AssertionError("unreachable")


class _Interrupted(JoinFailed):
    """The connection ended before the answer came."""


def _exchange(
    url: str,
    context: ssl.SSLContext,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
) -> bytes:
    host, port = address_of(url)
    connection = http.client.HTTPConnection(host, port)
    try:
        connection.sock = _connect(url, context)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            reply = connection.getresponse()
            text = reply.read(_MAX_REPLY_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(f"{url} did not answer: {_reason(error)}") from error
    finally:
        connection.close()
    if reply.status != 200:
        raise JoinFailed(f"{url} refuses: {_told(reply.status, text)}")
    return text


def _connect(url: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        with ExitStack() as undo:
            plain = undo.enter_context(socket.create_connection(address_of(url), TIMEOUT_S))
            secured = context.wrap_socket(plain, server_hostname=FLEET_NAME)
            undo.pop_all()
    except OSError as error:
        raise JoinFailed(f"no hub can be reached at {url}: {_reason(error)}") from error
    identity = identity_of(secured.getpeercert())
    if context.verify_mode == ssl.CERT_NONE or (identity is not None and identity.is_hub):
        return secured
    secured.close()
    who = "no box" if identity is None else f"{identity.kind} {identity.name!r}"
    raise JoinFailed(f"whoever answers at {url} is {who}, not the hub of this fleet")


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message
        if "not yet valid" in why or "expired" in why:
            return f"{why}; is the clock of this machine right?"
        return f"its certificate is not of this fleet ({why})"
    if isinstance(error, socket.timeout):
        return f"nothing came within {TIMEOUT_S:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _told(status: int, body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["error"]["message"])[:500]
    except (msgspec.MsgspecError, KeyError, TypeError, UnicodeDecodeError):
        return f"status {status}, which is not an error of edgefn"


def _decode(reply: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(reply, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JoinFailed(f"what answers is no hub of edgefn: {error}") from error
