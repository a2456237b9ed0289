"""The authority of a fleet: the key that signs the certificates of its boxes and devices.

What a certificate says is decided here and never taken from who asks for it: a box that could
choose the names in its certificate could pass for the hub.
"""

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgefn.access.certificates import (
    certificate_pem,
    fingerprint,
    new_private_key,
    private_pem,
    read_pair,
)
from edgefn.access.files import read_secret
from edgefn.access.identity import Identity, serial_text
from edgefn.bundle.private_file import write_own_file
from edgefn.errors import ConfigError

AUTHORITY_LIFETIME: Final = timedelta(days=3653)
# Long, since a box that is cut off must find its way back; it renews after a third of it.
CERTIFICATE_LIFETIME: Final = timedelta(days=365)
CLOCK_SKEW: Final = timedelta(hours=1)  # by which the clock of a box may be behind the hub's

_NO_USE: Final = dict.fromkeys(
    (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    ),
    False,
)  # fmt: skip


class Authority:
    """Signs certificates.

    Attributes:
        certificate: Of the authority itself.
        pem: That as text.
        fingerprint: That pins it.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate
        self.pem = certificate_pem(certificate)
        self.fingerprint = fingerprint(certificate)

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Returns the authority in a file; None if there is none.

        Raises:
            ConfigError: Others could read the file, or it is damaged.
        """
        pem = read_secret(path)
        if pem is None:
            return None
        try:
            return cls(*read_pair(pem))
        except ConfigError as error:
            raise ConfigError(
                f"{path} is damaged ({error.message}): restore it from a copy; with another "
                "authority, each box would have to join again"
            ) from error

    @classmethod
    def open_or_make(cls, path: Path, now: datetime) -> Self:
        """Returns the authority in a file; makes one on first use.

        Raises:
            ConfigError: As `open`, or the file cannot be written.
        """
        found = cls.open(path)
        if found is None:
            made = cls.make(now)
            write_own_file(path, private_pem(made._key) + made.pem, replace=False)
            found = cls.open(path)
            assert found is not None
        return found

    @classmethod
    def make(cls, now: datetime) -> Self:
        """Returns a new authority."""
        key = new_private_key()
        name = _name("edgefn fleet")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now + AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(_key_id(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    def issue(
        self,
        key: ec.EllipticCurvePublicKey,
        holder: Identity,
        *,
        now: datetime,
        tls_names: Iterable[str] = (),
    ) -> tuple[str, Identity]:
        """Returns a certificate, and what it says, its serial number and its end included.

        Args:
            key: Of the holder, who proved to have it.
            holder: Who it is.
            now: When.
            tls_names: Host names and addresses under which clients reach a box.
        """
        serial = x509.random_serial_number()
        ends = min(now + CERTIFICATE_LIFETIME, self.certificate.not_valid_after_utc)
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if holder.kind == "box":
            uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
        names = [*map(x509.UniformResourceIdentifier, holder.uris()), *map(_tls_name, tls_names)]
        certificate = (
            x509.CertificateBuilder()
            # Spaces keep clients that still look for a host name here from finding one.
            .subject_name(_name(f"edgefn {holder.kind} {holder.name}"))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_key_id(key), critical=False)
            .add_extension(_issuer_id(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        issued = Identity(
            kind=holder.kind,
            name=holder.name,
            is_hub=holder.is_hub,
            functions=holder.functions,
            serial=serial_text(serial),
            expires_s=certificate.not_valid_after_utc.timestamp(),
        )
        return certificate_pem(certificate), issued

    def issue_pair(
        self, holder: Identity, *, now: datetime, tls_names: Iterable[str] = ()
    ) -> tuple[str, Identity]:
        """Returns a new private key with its certificate, as one text, and what that says."""
        key = new_private_key()
        certificate, issued = self.issue(key.public_key(), holder, now=now, tls_names=tls_names)
        return private_pem(key) + certificate, issued


def renewal_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a third of a certificate's time is over."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begins + (ends - begins) / 3


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _usage(**used: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**{**_NO_USE, **used})


def _key_id(key: ec.EllipticCurvePublicKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key)


def _issuer_id(key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _tls_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
