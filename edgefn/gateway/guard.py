"""The one place where requests are let in: by what their route needs, and who they are from.

On a port with TLS, who asks shows an access key or a certificate of the fleet, and gets what that
allows. On the other port, which is for this machine unless an operator said `--insecure`, nobody
shows anything: calls are open, and the admin API is for programs on this machine. A web page in a
browser on this machine is none: it is refused by its `Origin`, and if it hides behind a name that
resolves to a loopback address (DNS rebinding) by the name in `Host`. A request that a proxy
forwards is not from this machine either.
"""

import ipaddress
import logging
import time
from typing import Final

from aiohttp import web
from multidict import istr

from edgefn.access.caller import LOCAL, NOBODY, Caller, Registry, Unauthorized, check_allowed
from edgefn.access.needs import Need
from edgefn.access.secret import KEY_PREFIX, TOKEN_PREFIX
from edgefn.gateway.connection import Connection
from edgefn.gateway.errors import Forbidden, MalformedRequest, TooManyFailures
from edgefn.gateway.failures import Failures

_AUTHORIZATION: Final = istr("Authorization")
_ORIGIN: Final = istr("Origin")
_FORWARDED: Final = ("Origin", "Forwarded", "X-Forwarded-For")
_BEARER: Final = "bearer "
_THIS_MACHINE_ONLY: Final = frozenset((Need.OPERATE, Need.DEPLOY, Need.ADMIN))
_NOTED: Final = frozenset((Need.DEPLOY, Need.ADMIN, Need.JOIN))  # boxes of the fleet ask always

_LOG = logging.getLogger(__name__)


class Guard:
    """Lets requests in, or refuses them.

    Args:
        registry: Of keys and certificates that count.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._failures = Failures()

    def admit(
        self, request: web.BaseRequest, connection: Connection, need: Need, function: str
    ) -> None:
        """Makes sure that a request may be answered, and notes on its connection who asks.

        Args:
            request: Its head.
            connection: On which it came.
            need: Of its route.
            function: That is named in its path, or nothing.

        Raises:
            MalformedRequest: There is a key in its URL.
            Forbidden: It came from another machine or a web page, and that may not ask this.
            Unauthorized: It does not show who it is from, or with what is not accepted.
            NotAllowed: Whoever it is from may not ask this.
            TooManyFailures: From where it comes, too many did not show who they are.
        """
        target = request.raw_path
        if KEY_PREFIX in target or TOKEN_PREFIX in target:
            raise MalformedRequest(
                "there is a key in the URL, where it ends in logs: revoke it, and send another as "
                "Authorization: Bearer"
            )
        if not connection.is_secure:
            if need in _THIS_MACHINE_ONLY:
                check_local(request)
            connection.caller = LOCAL
            check_allowed(LOCAL, need, "")
            return
        try:
            connection.caller = self._caller(request, connection)
            check_allowed(connection.caller, need, function)
        except Unauthorized as error:
            self._count_failure(request, error)
            raise
        if need in _NOTED:
            _LOG.info("%s %s by %s", request.method, request.path, connection.caller.name)

    def _caller(self, request: web.BaseRequest, connection: Connection) -> Caller:
        told = request.headers.get(_AUTHORIZATION)
        if told is not None:
            if told[: len(_BEARER)].lower() != _BEARER or request.headers.getall(
                _AUTHORIZATION
            ) != [told]:
                raise Unauthorized("send one key, as Authorization: Bearer efk_...")
            return self._registry.by_secret(told[len(_BEARER) :].strip(), time.time())
        if connection.identity is None:
            return NOBODY
        if _ORIGIN in request.headers:  # browsers show certificates to whatever page asks
            raise Forbidden("a web page cannot call with a certificate, only with a key of its own")
        return self._registry.by_certificate(connection.identity, time.time())

    def _count_failure(self, request: web.BaseRequest, error: Unauthorized) -> None:
        address = request.remote or ""
        again_s = self._failures.note(address, time.monotonic())
        if again_s is None:
            _LOG.warning("%s %s from %s: %s", request.method, request.path, address, error.message)
            return
        raise TooManyFailures(
            "too many requests from this address did not show a key that counts; try again later",
            retry_after_s=again_s,
        ) from error


def check_local(request: web.BaseRequest) -> None:
    """Refuses requests that no program on this machine sent.

    Raises:
        Forbidden: It came from another machine, or from a web page.
    """
    if not _is_loopback(request.remote or ""):
        raise Forbidden(
            "without a key, the admin API answers programs on this machine only, not "
            f"{request.remote}"
        )
    for header in _FORWARDED:
        if header in request.headers:
            raise Forbidden(f"the admin API takes no request with {header}: no browser, no proxy")
    name = _host_name(request.headers.get("Host", ""))
    if name != "localhost" and not _is_address(name):
        raise Forbidden(
            f"the admin API is reached as localhost or by address, not as {name[:100]!r}"
        )


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
