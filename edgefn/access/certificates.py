"""Private keys, requests for certificates, and what a certificate is of."""

import hashlib
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from edgefn.access.identity import PREFIX
from edgefn.errors import ConfigError, EdgefnError

MAX_REQUEST_BYTES: Final = 8 * 1024


class BadRequest(EdgefnError):
    """What was sent is no request for a certificate as it is made here."""

    code = "invalid_input"


class WrongCertificate(EdgefnError):
    """A certificate is not the one that was asked for, or nobody trusted signed it."""

    code = "wrong_certificate"


def new_private_key() -> ec.EllipticCurvePrivateKey:
    """Returns a new private key: ECDSA on P-256, which all TLS libraries have."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Returns a private key as text."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def certificate_pem(certificate: x509.Certificate) -> str:
    """Returns a certificate as text."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def read_pair(pem: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Returns the private key and the certificate that a text holds.

    Raises:
        ConfigError: It does not hold both, or they do not belong together.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, TypeError) as error:
        raise ConfigError(f"no private key with its certificate: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or _spki(key.public_key()) != _spki(
        certificate.public_key()
    ):
        raise ConfigError("the private key and the certificate do not belong together")
    return key, certificate


def fingerprint(certificate: x509.Certificate) -> str:
    """Returns what pins an authority: SHA-256 of its public key, 64 hex digits."""
    return hashlib.sha256(_spki(certificate.public_key())).hexdigest()


def fingerprint_of(pem: str) -> str:
    """Returns the fingerprint of a certificate's text.

    Raises:
        WrongCertificate: It is none.
    """
    return fingerprint(read_certificate(pem))


def read_certificate(pem: str) -> x509.Certificate:
    """Returns the certificate of a text.

    Raises:
        WrongCertificate: It is none.
    """
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise WrongCertificate(f"what came is no certificate: {error}") from error


def holder_name(certificate: x509.Certificate) -> str:
    """Returns the name of the box or device that holds a certificate; empty if it names none."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    for said in names.get_values_for_type(x509.UniformResourceIdentifier):
        if said.startswith((f"{PREFIX}box:", f"{PREFIX}device:")):
            return said.rpartition(":")[2]
    return ""


def make_request(key: ec.EllipticCurvePrivateKey) -> str:
    """Returns a request for a certificate. It proves the key, and asks for nothing else."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edgefn request")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")


def requested_key(pem: str) -> ec.EllipticCurvePublicKey:
    """Returns the public key that a request proves. Whatever else it asks for is not read.

    Raises:
        BadRequest: It is no request, its signature is wrong, or its key is of another kind.
    """
    if len(pem) > MAX_REQUEST_BYTES:
        raise BadRequest(f"a request for a certificate has at most {MAX_REQUEST_BYTES} bytes")
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key, is_signed = request.public_key(), request.is_signature_valid
    except (ValueError, TypeError) as error:
        raise BadRequest(f"what was sent is no request for a certificate: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadRequest("the key of a certificate must be of ECDSA on P-256")
    if not is_signed:
        raise BadRequest("the request for a certificate is not signed by its own key")
    return key


def key_digest(key: ec.EllipticCurvePublicKey) -> bytes:
    """Returns the SHA-256 of a public key."""
    return hashlib.sha256(_spki(key)).digest()


def check_issued(
    certificate: x509.Certificate, authority: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    """Makes sure that an authority signed a certificate for this very key.

    Raises:
        WrongCertificate: It is for another key, or another authority signed it.
    """
    if _spki(certificate.public_key()) != _spki(key.public_key()):
        raise WrongCertificate("the certificate that came is for another key")
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise WrongCertificate("another authority signed the certificate that came") from error


def _spki(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]
