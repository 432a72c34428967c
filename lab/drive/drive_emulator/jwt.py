"""Signed assertions of service accounts: https://developers.google.com/identity/protocols/oauth2/service-account."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class JwtError(Exception):
    """An assertion that is not one, or that none of the keys has signed."""


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        raise JwtError("not base64url") from None


def _json(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part))
    except (ValueError, RecursionError):
        raise JwtError("not JSON") from None
    if not isinstance(value, dict):
        raise JwtError("not an object")
    return value


def claims(token: str) -> dict[str, Any]:
    """Return what a token claims, unproven; JwtError where it is no token signed by RS256."""
    parts = token.split(".")
    if len(parts) != 3:
        raise JwtError("a token has three parts")
    if _json(parts[0]).get("alg") != "RS256":
        raise JwtError("the algorithm is not RS256")
    return _json(parts[1])


def verify(token: str, keys: Iterable[str]) -> None:
    """Check that one of the public keys (PEM) has signed a token; JwtError where none has."""
    signed, _dot, signature = token.rpartition(".")
    for pem in keys:
        try:
            public_key(pem).verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            continue
        return
    raise JwtError("no key fits the signature")


def public_key(pem: str) -> rsa.RSAPublicKey:
    """Return the RSA key that a PEM text holds; JwtError where it holds none."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise JwtError("not a public key in PEM") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise JwtError("not an RSA key")
    return key


def new_key() -> tuple[str, str]:
    """Return a fresh private key and its public one, in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()
