"""A table of tokens that may not pass, and for each algorithm one that may.

What attackers try: https://www.rfc-editor.org/rfc/rfc8725 (JWT best current practices), sections 2 and 3.
"""

from __future__ import annotations

import hmac
import json
from hashlib import sha256

import pytest

from openresponses.entry.jwt_tokens import LEEWAY_S, MAX_LENGTH, Caller
from tests.contract.issuers import (
    AUDIENCE,
    CLAIMS,
    NOW,
    SIGNED_WITH,
    URL,
    FakeIssuer,
    Json,
    encoded,
    judged,
    key,
    made,
    public,
    signed,
)


def claims(**changed: object) -> Json:
    """A claim that is None is left out."""
    return {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}


def tenant(value: object) -> str:
    return signed(claims(**{"custom:tenant": value}))


COGNITO = claims(aud=None, client_id=AUDIENCE, token_use="access")
"""https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html"""

GOOD: dict[str, str] = {
    **{algorithm: made(algorithm) for algorithm in SIGNED_WITH},
    "an access token of Cognito": signed(COGNITO),
    "a list of audiences": signed(claims(aud=["elsewhere", AUDIENCE])),
    "another audience of the deployment": signed(claims(aud="another")),
    "an access token by its type (RFC 9068)": signed(typ="at+jwt"),
    "JWT as its type": signed(typ="JWT"),
    "a clock that is late": signed(claims(exp=NOW - LEEWAY_S + 1)),
    "a clock that is early": signed(claims(iat=NOW + LEEWAY_S, nbf=NOW + LEEWAY_S)),
    "no iat": signed(claims(iat=None)),
    "an address of a key, which nobody asks": signed(jku="https://evil.example/jwks.json", x5u="https://evil.example"),
}


@pytest.mark.parametrize("token", GOOD.values(), ids=GOOD)
def test_a_good_token_passes(token: str) -> None:
    caller = judged(token)
    assert isinstance(caller, Caller)
    assert (caller.tenant, caller.key_id[:4], len(caller.key_id)) == ("acme", "jwt-", 24)


def hmac_with(secret: bytes, kid: str = "rsa", algorithm: str = "HS256") -> str:
    """The confusion of algorithms: what is public, as the secret of an HMAC."""
    signing = f"{encoded({'alg': algorithm, 'kid': kid})}.{encoded(CLAIMS)}"
    return f"{signing}.{encoded(hmac.digest(secret, signing.encode(), sha256))}"


def with_header(header: object, payload: object = CLAIMS) -> str:
    """A token of the issuer, with another header or payload than it signed."""
    return f"{encoded(header)}.{encoded(payload)}.{signed().split('.')[2]}"


def nobodys(algorithm: str) -> str:
    return f"{encoded({'alg': algorithm, 'kid': 'rsa', 'typ': 'JWT'})}.{encoded(CLAIMS)}."


def es256_with(signature: bytes) -> str:
    return f"{encoded({'alg': 'ES256', 'kid': 'P-256'})}.{encoded(CLAIMS)}.{encoded(signature)}"


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256: FIPS 186-4, D.1.2.3."""
MINE = key("rsa", 1)
PUBLIC_PEM: bytes = key("rsa").as_pem(private=False)
NONES = ("none", "None", "NONE", "nOnE", "none ", "", "null", "NoNe")

BAD: dict[str, tuple[str, str]] = {
    # No signature, or one that everybody can make.
    **{f"alg {alg!r}, no signature": (nobodys(alg), "malformed") for alg in NONES},
    **{f"alg {alg!r}, the signature of another": (nobodys(alg) + signed().split(".")[2], "algorithm") for alg in NONES},
    "HS256 with the public key as PEM": (hmac_with(PUBLIC_PEM), "algorithm"),
    "HS256 with the public key as PEM, stripped": (hmac_with(PUBLIC_PEM.strip()), "algorithm"),
    "HS256 with the public key as JWK": (hmac_with(json.dumps(public("rsa")).encode()), "algorithm"),
    "HS256 with the modulus": (hmac_with(public("rsa")["n"].encode()), "algorithm"),
    "HS256 with nothing": (hmac_with(b""), "algorithm"),
    "HS384": (hmac_with(b"secret", algorithm="HS384"), "algorithm"),
    "HS512": (hmac_with(b"secret", algorithm="HS512"), "algorithm"),
    "ES256K": (with_header({"alg": "ES256K", "kid": "P-256"}), "algorithm"),
    "alg is a list": (with_header({"alg": ["RS256"], "kid": "rsa"}), "algorithm"),
    "alg is nothing": (with_header({"kid": "rsa"}), "algorithm"),
    "rs256": (with_header({"alg": "rs256", "kid": "rsa"}), "algorithm"),
    "psychic signatures: zeros (CVE-2022-21449)": (es256_with(bytes(64)), "wrong_signature"),
    "psychic signatures: zeros in DER": (es256_with(bytes.fromhex("3006020100020100")), "wrong_signature"),
    "psychic signatures: the group's order": (es256_with(ORDER.to_bytes(32) * 2), "wrong_signature"),
    "psychic signatures: a zero and a one": (es256_with(bytes(63) + b"\1"), "wrong_signature"),
    "psychic signatures: one byte": (es256_with(b"\0"), "wrong_signature"),
    "psychic signatures: 4 KB": (es256_with(bytes(4096)), "wrong_signature"),
    # Another's key.
    "the right kid and another key": (signed(secret=MINE), "wrong_signature"),
    "another key, whose JWK is in the header": (signed(secret=MINE, jwk=public("rsa", 1)), "wrong_signature"),
    "another key, whose JWK is in the header alone": (
        signed(secret=MINE, kid=None, jwk=public("rsa", 1)),
        "wrong_signature",
    ),
    "another key, whose address is in the header": (
        signed(secret=MINE, jku="https://evil.example/jwks"),
        "wrong_signature",
    ),
    "another key, whose certificate is in the header": (
        signed(secret=MINE, x5c=["TUlJQg=="], x5t="x"),
        "wrong_signature",
    ),
    "another key, whose certificate's address is": (
        signed(secret=MINE, x5u="https://evil.example/c"),
        "wrong_signature",
    ),
    "a kid that nobody knows": (signed(kid="nobody's"), "unknown_key"),
    "a kid of another kind of key": (signed(kid="P-256"), "unknown_key"),
    "a kid that is a path": (signed(kid="../../../../dev/null"), "unknown_key"),
    "a kid that is SQL": (signed(kid="x' UNION SELECT 'secret"), "unknown_key"),
    "a kid that is an address": (signed(kid="https://evil.example/jwks.json"), "unknown_key"),
    "a kid that is empty": (signed(kid=""), "unknown_key"),
    "a kid that is a list": (with_header({"alg": "RS256", "kid": ["rsa"]}), "malformed"),
    "a kid that is a number": (with_header({"alg": "RS256", "kid": 1}), "malformed"),
    "the algorithm of another curve": (signed(algorithm="ES384", kid="P-256"), "unknown_key"),
    "PS256 named RS256": (
        ".".join([encoded({"alg": "RS256", "kid": "rsa"}), *signed(algorithm="PS256").split(".")[1:]]),
        "wrong_signature",
    ),
    "a payload that was changed": (with_header({"alg": "RS256", "kid": "rsa"}, claims(sub="admin")), "wrong_signature"),
    "a header that was changed": (with_header({"alg": "RS256", "kid": "rsa", "x": 1}), "wrong_signature"),
    "the signature of another token": (
        ".".join([*signed(claims(sub="admin")).split(".")[:2], signed().split(".")[2]]),
        "wrong_signature",
    ),
    # What was not meant for us.
    "another issuer": (signed(claims(iss="https://evil.example")), "other_issuer"),
    "an issuer with a slash more": (signed(claims(iss=f"{URL}/")), "other_issuer"),
    "an issuer in capitals": (signed(claims(iss=URL.upper())), "other_issuer"),
    "an issuer that begins as ours": (signed(claims(iss=f"{URL}.evil.example")), "other_issuer"),
    "a list of issuers": (signed(claims(iss=[URL])), "other_issuer"),
    "no issuer": (signed(claims(iss=None)), "other_issuer"),
    "another audience": (signed(claims(aud="elsewhere")), "other_audience"),
    "an audience that begins as ours": (signed(claims(aud=f"{AUDIENCE}x")), "other_audience"),
    "no audience": (signed(claims(aud=None)), "other_audience"),
    "no audience in a list": (signed(claims(aud=[])), "other_audience"),
    "an audience that is null": (signed({**CLAIMS, "aud": None}), "other_audience"),
    "audiences in an object": (signed(claims(aud={AUDIENCE: True})), "other_audience"),
    "audiences with commas": (signed(claims(aud=f"x,{AUDIENCE}")), "other_audience"),
    "audiences in lists": (signed(claims(aud=[[AUDIENCE]])), "other_audience"),
    "an access token of another app client": (signed({**COGNITO, "client_id": "elsewhere"}), "other_audience"),
    "a client_id beside another audience": (signed({**COGNITO, "aud": "elsewhere"}), "other_audience"),
    "a client_id beside an audience that is null": (signed({**COGNITO, "aud": None}), "other_audience"),
    "a client_id in what is no access token": (signed({**COGNITO, "token_use": "id"}), "other_audience"),
    "a client_id that is a list": (signed({**COGNITO, "client_id": [{"a": 1}]}), "other_audience"),
    "a logout token, by its type": (signed(typ="logout+jwt"), "malformed"),
    "a proof of possession, by its type (RFC 9449)": (signed(typ="dpop+jwt"), "malformed"),
    "a security event, by its type (RFC 8417)": (signed(typ="secevent+jwt"), "malformed"),
    "a type that is a list": (with_header({"alg": "RS256", "kid": "rsa", "typ": ["JWT"]}), "malformed"),
    # Not now.
    "expired": (signed(claims(exp=NOW - LEEWAY_S)), "expired"),
    "no exp": (signed(claims(exp=None)), "expired"),
    "exp is null": (signed({**CLAIMS, "exp": None}), "expired"),
    "exp is text": (signed(claims(exp=str(NOW + 60))), "expired"),
    "exp is true": (signed(claims(exp=True)), "expired"),
    "exp is endless": (signed(json.dumps(claims(exp=float("inf"))).encode()), "expired"),
    "exp is endless in another way": (signed(json.dumps(CLAIMS).replace(str(NOW + 3600), "1e999").encode()), "expired"),
    "exp is no number": (signed(json.dumps(claims(exp=float("nan"))).encode()), "expired"),
    "exp is too large": (signed(claims(exp=10**300)), "expired"),
    "exp has 5,000 digits": (signed(json.dumps(CLAIMS).replace(str(NOW + 3600), "9" * 5000).encode()), "malformed"),
    "exp is negative": (signed(claims(exp=-1)), "expired"),
    "exp is a list": (signed(claims(exp=[NOW + 60])), "expired"),
    "not valid yet": (signed(claims(nbf=NOW + LEEWAY_S + 1)), "not_yet_valid"),
    "nbf is text": (signed(claims(nbf="0")), "not_yet_valid"),
    "nbf is true": (signed(claims(nbf=True)), "not_yet_valid"),
    "nbf is null": (signed({**CLAIMS, "nbf": None}), "not_yet_valid"),
    "issued in the future": (signed(claims(iat=NOW + LEEWAY_S + 1)), "not_yet_valid"),
    "issued in milliseconds": (signed(claims(iat=NOW * 1000)), "not_yet_valid"),
    # Nobody's, or of what is no tenant.
    "no subject": (signed(claims(sub=None)), "no_subject"),
    "an empty subject": (signed(claims(sub="")), "no_subject"),
    "a subject that is a number": (signed(claims(sub=1)), "no_subject"),
    "a subject of 256 characters": (signed(claims(sub="x" * 256)), "no_subject"),
    "no tenant": (tenant(None), "no_tenant"),
    "a tenant in another claim": (signed({**claims(**{"custom:tenant": None}), "tenant": "acme"}), "no_tenant"),
    "an empty tenant": (tenant(""), "no_tenant"),
    "a list of tenants": (tenant(["acme"]), "no_tenant"),
    "a tenant in an object": (tenant({"acme": True}), "no_tenant"),
    "a tenant that is a number": (tenant(1), "no_tenant"),
    "a tenant that is true": (tenant(True), "no_tenant"),
    "a tenant with a slash": (tenant("acme/other"), "no_tenant"),
    "a tenant with the path of another": (tenant("../other"), "no_tenant"),
    "a tenant in capitals": (tenant("Acme"), "no_tenant"),
    "a tenant of 64 characters": (tenant("a" * 64), "no_tenant"),
    "a tenant with a space": (tenant("acme "), "no_tenant"),
    "a tenant with a line": (tenant("acme\n"), "no_tenant"),
    "a tenant with a null byte": (tenant("acme\0"), "no_tenant"),
    "a tenant with a number sign": (tenant("key#acme"), "no_tenant"),
    "a tenant that begins with a hyphen": (tenant("-acme"), "no_tenant"),
    "a tenant with a Cyrillic letter": (tenant("\u0430cme"), "no_tenant"),
    "a tenant with letters of full width": (tenant("\uff41cme"), "no_tenant"),
    "a tenant with a digit of another script": (tenant("acme\u0661"), "no_tenant"),
    "a tenant with a mark that nobody sees": (tenant("acme\u200b"), "no_tenant"),
    "a tenant with half a character": (tenant("acme\ud800"), "no_tenant"),
    # Extensions, and what is no token.
    "an extension that must be understood": (signed(crit=["exp"]), "malformed"),
    "b64 false (RFC 7797)": (signed(b64=False, crit=["b64"]), "malformed"),
    "b64 true": (signed(b64=True, crit=["b64"]), "malformed"),
    "b64 without crit": (with_header({"alg": "RS256", "kid": "rsa", "b64": False}), "malformed"),
    "an empty crit": (with_header({"alg": "RS256", "kid": "rsa", "crit": []}), "malformed"),
    "encrypted: five parts": (".".join([encoded({"alg": "RSA-OAEP", "enc": "A256GCM"}), *["AAAA"] * 4]), "malformed"),
    "a token in a token": (signed(signed().encode(), cty="JWT"), "malformed"),
    "a payload that is a list": (signed([CLAIMS]), "malformed"),
    "a payload that is no JSON": (signed(b"acme"), "malformed"),
    "a payload that is no UTF-8": (signed(b"\xff\xfe"), "malformed"),
    "a deep payload": (signed(b"[" * 5000), "malformed"),
    "a header that is a list": (with_header([{"alg": "RS256"}]), "malformed"),
    "two tokens": (f"{signed()},{signed()}", "malformed"),
    "two tokens with a space": (f"{signed()} {signed()}", "malformed"),
    "a token and a dot": (f"{signed()}.", "malformed"),
    "a token with padding": (f"{signed()}==", "malformed"),
    "a token and a line": (f"{signed()}\n", "malformed"),
    "a token with letters of base64 alone": (signed().replace("_", "/").replace("-", "+") + "+", "malformed"),
    "two parts": (signed().rpartition(".")[0], "malformed"),
    "no parts": ("", "malformed"),
    "dots": ("..", "malformed"),
    "a giant": (signed(claims(more="x" * MAX_LENGTH)), "malformed"),
    "a letter too many in the payload": (signed().replace(".", ".A", 1), "malformed"),
    "JSON (RFC 7515, section 7.2)": (json.dumps({"payload": encoded(CLAIMS), "signatures": []}), "malformed"),
}


@pytest.mark.parametrize(("token", "reason"), BAD.values(), ids=BAD)
def test_a_bad_token_does_not_pass(token: str, reason: str) -> None:
    assert judged(token) == reason


KEYSETS: dict[str, tuple[list[Json], str]] = {
    "no key": ([], signed()),
    "a key for encryption": ([public("rsa", use="enc")], signed()),
    "a key that may not verify": ([public("rsa", key_ops=["encrypt"])], signed()),
    "a key of another algorithm": ([public("rsa", alg="RS512")], signed()),
    "a symmetric key": ([{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa", "alg": "HS256"}], hmac_with(b"secret")),
    "a symmetric key that says RS256": ([{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa", "alg": "RS256"}], signed()),
    "RSA with 1,024 bits": ([public("rsa1024", kid="rsa")], signed(secret=key("rsa1024"))),
    "RSA with 512 bits": ([{"kty": "RSA", "kid": "rsa", "e": "AQAB", "n": "v" * 86}], signed()),
    "RSA without a modulus": ([{"kty": "RSA", "kid": "rsa", "e": "AQAB"}], signed()),
    "RSA with a modulus that is no text": ([public("rsa", n=1)], signed()),
    "RSA with a modulus that is no base64": ([public("rsa", n="é")], signed()),
    "two keys of one kid": ([public("rsa"), public("rsa", 1)], signed()),
    "two keys, and no kid": ([public("rsa"), public("rsa", 1, kid="other")], signed(kid=None)),
    "a point on no curve": ([public("P-256", x=encoded(bytes(32)), y=encoded(bytes(32)))], signed(algorithm="ES256")),
    "a point of another curve": ([public("P-384", crv="P-256", kid="P-256")], signed(algorithm="ES256")),
    "a short coordinate": ([public("P-256", x="AA")], signed(algorithm="ES256")),
    "secp256k1, named as the curve": ([public("secp256k1", kid="P-256")], signed(algorithm="ES256")),
    "Ed25519 for ES256": ([public("Ed25519", kid="P-256")], signed(algorithm="ES256")),
    "X25519, which signs nothing": ([public("X25519", kid="Ed25519")], signed(algorithm="EdDSA")),
    "Ed448": ([public("Ed448", kid="Ed25519")], signed(algorithm="EdDSA")),
}
"""What an issuer may tell beside good keys, by mistake: a token that only such a key would let in."""


@pytest.mark.parametrize(("keys", "token"), KEYSETS.values(), ids=KEYSETS)
def test_a_key_that_is_not_for_this_lets_nobody_in(keys: list[Json], token: str) -> None:
    assert judged(token, FakeIssuer(keys)) in ("unknown_key", "wrong_signature", "algorithm")


def test_an_issuer_with_one_key_need_not_name_it() -> None:
    assert isinstance(judged(signed(kid=None), FakeIssuer([public("rsa"), public("P-256")])), Caller)


def test_a_subject_is_always_the_same_caller_and_no_other_one_is() -> None:
    one, again, other = (
        judged(token)
        for token in (signed(), signed(claims(exp=NOW + 7, **{"custom:tenant": "other"})), signed(claims(sub="other")))
    )
    assert isinstance(one, Caller)
    assert isinstance(again, Caller)
    assert isinstance(other, Caller)
    assert one.key_id == again.key_id != other.key_id
    assert (one.tenant, again.tenant, again.expires_at) == ("acme", "other", NOW + 7)
