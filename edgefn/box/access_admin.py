"""The part of the admin API that decides who has access, and what boxes of a fleet ask of a hub."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec

from edgefn.access.joining import AuthorityReply, IssueReply, IssueRequest
from edgefn.access.orders import NewKey, NewToken
from edgefn.box.access import Access
from edgefn.errors import InvalidInput
from edgefn.gateway.control import Ask

T = TypeVar("T")

_log = logging.getLogger(__name__)

AccessHandler = Callable[[Access, Ask, str], Awaitable[Any]]


async def listed(access: Access, ask: Ask, named: str) -> Any:
    """Tells what was given out."""
    return await access.ask(lambda ledger: ledger.listed())


async def make_key(access: Access, ask: Ask, named: str) -> Any:
    """Gives out an access key."""
    order = _decode(ask.body, NewKey)
    return await access.ask(lambda ledger: ledger.make_key(order))


async def make_token(access: Access, ask: Ask, named: str) -> Any:
    """Gives out a join token."""
    order = _decode(ask.body, NewToken)
    return await access.ask(lambda ledger: ledger.make_token(order))


async def revoke(access: Access, ask: Ask, named: str) -> Any:
    """Has a key or a certificate count no longer."""
    await access.ask(lambda ledger: ledger.revoke(named))
    return {"revoked": named}


async def authority(access: Access, ask: Ask, named: str) -> Any:
    """Tells the certificate of the authority, for those who know its fingerprint."""
    return AuthorityReply(await access.ask(lambda ledger: ledger.authority_pem()))


async def join(access: Access, ask: Ask, named: str) -> Any:
    """Gives a certificate to whoever shows a join token."""
    request = _decode(ask.body, IssueRequest)
    return IssueReply(certificate=await access.ask(lambda led: led.join(ask.caller, request)))


async def renew(access: Access, ask: Ask, named: str) -> Any:
    """Gives a box of the fleet a newer certificate."""
    request = _decode(ask.body, IssueRequest)
    certificate = await access.ask(lambda led: led.renew(ask.caller, request))
    _log.info("the certificate of %s was renewed", ask.name)
    return IssueReply(certificate=certificate)


ACCESS_ROUTES: Final[dict[str, dict[str, AccessHandler]]] = {
    "/admin/v1/keys": {"GET": listed, "POST": make_key},
    "/admin/v1/keys/(?P<name>[^/]+)": {"DELETE": revoke},
    "/admin/v1/join-tokens": {"POST": make_token},
    "/fleet/v1/authority": {"GET": authority},
    "/fleet/v1/join": {"POST": join},
    "/fleet/v1/renew": {"POST": renew},
}


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not what is expected here: {error}") from error
