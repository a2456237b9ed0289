"""The authority of a fleet, and the certificates that it signs."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgefn.access.authority import CLOCK_SKEW, Authority, renewal_due
from edgefn.access.certificates import (
    BadRequest,
    WrongCertificate,
    check_issued,
    fingerprint_of,
    holder_name,
    make_request,
    new_private_key,
    private_pem,
    read_certificate,
    read_pair,
    requested_key,
)
from edgefn.access.identity import Identity
from edgefn.errors import ConfigError

NOW = datetime(2027, 1, 1, tzinfo=UTC)
BOX = Identity(kind="box", name="plant-1")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make(NOW)


def issued(authority: Authority, holder: Identity = BOX, **options: object) -> x509.Certificate:
    key = new_private_key()
    pem, _ = authority.issue(key.public_key(), holder, now=NOW, **options)  # type: ignore[arg-type]
    return read_certificate(pem)


def test_an_authority_is_made_once_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    """It is the same after a restart, and refused once others could have read it."""
    path = tmp_path / "access" / "authority.pem"
    made = Authority.open_or_make(path, NOW)
    assert Authority.open_or_make(path, NOW).fingerprint == made.fingerprint
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod go-rwx"):
        Authority.open(path)


def test_a_damaged_authority_is_never_replaced(tmp_path: Path) -> None:
    """With another one, each box would have to join again."""
    path = tmp_path / "authority.pem"
    made = Authority.open_or_make(path, NOW)
    other = private_pem(new_private_key()) + made.pem
    for damaged in ("", made.pem, other, path.read_text()[:200]):
        path.write_text(damaged)
        with pytest.raises(ConfigError, match="restore it"):
            Authority.open_or_make(path, NOW)


def test_the_authority_can_sign_certificates_and_no_other_authority(authority: Authority) -> None:
    """Path length 0; the fingerprint is of its key."""
    constraints = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (
        True, True, 0,
    )  # fmt: skip
    assert fingerprint_of(authority.pem) == authority.fingerprint


def test_a_box_serves_and_calls_and_a_device_only_calls(authority: Authority) -> None:
    """A device's certificate cannot pass for a server's, nor either for an authority's."""
    device = Identity(kind="device", name="cam-1", functions=("voice",))
    for holder, serves in ((BOX, True), (device, False)):
        certificate = issued(authority, holder)
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert (ExtendedKeyUsageOID.SERVER_AUTH in uses) == serves
        assert ExtendedKeyUsageOID.CLIENT_AUTH in uses
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert not constraints.value.ca
        assert holder_name(certificate) == holder.name


def test_only_given_names_are_in_a_certificate_and_its_subject_is_no_host_name(
    authority: Authority,
) -> None:
    """Whatever the request asks for, and however a box is called."""
    plain = issued(authority)
    names = plain.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one.value) for one in names] == ["edgefn:box:plant-1"]
    (subject,) = plain.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert " " in str(subject.value)
    named = issued(authority, tls_names=("plant-1.local", "10.0.0.5"))
    names = named.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["plant-1.local"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.5"]


def test_a_clock_that_is_an_hour_behind_accepts_a_new_certificate(authority: Authority) -> None:
    """And nothing outlives the authority."""
    certificate = issued(authority)
    assert certificate.not_valid_before_utc == NOW - CLOCK_SKEW
    assert authority.certificate.not_valid_before_utc == NOW - CLOCK_SKEW
    late = NOW + timedelta(days=3600)
    pem, said = authority.issue(new_private_key().public_key(), BOX, now=late)
    assert read_certificate(pem).not_valid_after_utc == authority.certificate.not_valid_after_utc
    assert said.expires_s == authority.certificate.not_valid_after_utc.timestamp()


def test_a_certificate_is_renewed_after_a_third_of_its_time(authority: Authority) -> None:
    """So that a box which is cut off for months still has a valid one."""
    certificate = issued(authority)
    assert not renewal_due(certificate, NOW + timedelta(days=121))
    assert renewal_due(certificate, NOW + timedelta(days=122))


def test_what_came_must_be_for_this_key_and_of_this_authority(authority: Authority) -> None:
    """A hub that was replaced underway is noticed."""
    key = new_private_key()
    certificate = read_certificate(authority.issue(key.public_key(), BOX, now=NOW)[0])
    check_issued(certificate, authority.certificate, key)
    with pytest.raises(WrongCertificate, match="another key"):
        check_issued(certificate, authority.certificate, new_private_key())
    with pytest.raises(WrongCertificate, match="another authority"):
        check_issued(certificate, Authority.make(NOW).certificate, key)
    with pytest.raises(ConfigError, match="do not belong together"):
        read_pair(private_pem(new_private_key()) + authority.pem)


def test_a_request_proves_its_key() -> None:
    """Nothing else of it is read."""
    key = new_private_key()
    proven = requested_key(make_request(key))
    assert proven.public_numbers() == key.public_key().public_numbers()


def test_other_requests_are_refused() -> None:
    """Garbage, too much, another kind of key, and one that is not signed by its own."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        request = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
        with pytest.raises(BadRequest, match="P-256"):
            requested_key(request)
    der = x509.load_pem_x509_csr(make_request(new_private_key()).encode()).public_bytes(
        Encoding.DER
    )
    forged = ssl.DER_cert_to_PEM_cert(der[:-1] + bytes((der[-1] ^ 1,))).replace(
        "CERTIFICATE", "CERTIFICATE REQUEST"
    )
    for text in ("", "no request", forged, "x" * 10_000):
        with pytest.raises(BadRequest):
            requested_key(text)
