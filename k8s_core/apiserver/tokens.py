"""ServiceAccount tokens: signing, checking, and the TokenRequest subresource (`kubectl create token`).

Tokens are JWTs as kube-apiserver makes them: issued by `--service-account-issuer`, bound to a ServiceAccount and
if asked to a Pod, Node or Secret, and good only while those objects exist with the same uid. Time is the loop's.
They are signed ES256 with RFC 6979's signatures, so the same history gives the same tokens.
Left out: external signers and key rotation. Stands for pkg/serviceaccount and serviceaccount/storage/token.go.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from k8s_core.api import Object, errors, field
from k8s_core.apiserver.reader import Reader
from k8s_core.apiserver.request import Request, User

ISSUER = "https://kubernetes.default.svc.cluster.local"  # --service-account-issuer
LEGACY_ISSUER = "kubernetes/serviceaccount"
DEFAULT_EXPIRATION = 3600
MIN_EXPIRATION, MAX_EXPIRATION = 600, 2**32
WARN_EXPIRATION = 3607  # what admission asks for; such tokens live longer, and warn
EXTENDED_EXPIRATION = 365 * 24 * 3600  # --service-account-extend-token-expiration
LEEWAY = 60.0  # a deleted object still vouches for its tokens this long
MAX_CACHED = 2000
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


class Clock(Protocol):
    """The part of the loop that tokens need."""

    now: float

    def uid(self) -> str: ...


class Tokens:
    """Makes and checks the tokens of one cluster."""

    def __init__(self, clock: Clock, key: ec.EllipticCurvePrivateKey, reader: Reader, issuer: str = ISSUER) -> None:
        self._clock, self._key, self._reader, self.issuer = clock, key, reader, issuer
        self._public = key.public_key()
        spki = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.key_id = _base64(hashlib.sha256(spki).digest())
        self._verified: dict[str, Object] = {}

    # --- signing --------------------------------------------------------------------------------------------
    def sign(self, claims: Object) -> str:
        """A JWT with these claims."""
        header = {"alg": "ES256", "kid": self.key_id}
        text = _base64(orjson.dumps(header)) + "." + _base64(orjson.dumps(claims, option=orjson.OPT_SORT_KEYS))
        der = self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        raw = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der))
        return f"{text}.{_base64(raw)}"

    def legacy(self, account: Object, secret: Object) -> str:
        """The everlasting token that the token controller puts into a Secret of type service-account-token."""
        namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
        prefix = f"{LEGACY_ISSUER}/"
        return self.sign(
            {
                "iss": LEGACY_ISSUER,
                "sub": username(namespace, name),
                f"{prefix}namespace": namespace,
                f"{prefix}secret.name": secret["metadata"]["name"],
                f"{prefix}service-account.name": name,
                f"{prefix}service-account.uid": account["metadata"]["uid"],
            }
        )

    def request(self, request: Request, obj: Object) -> Object:
        """Answer POST .../serviceaccounts/{name}/token: the TokenRequest with its status."""
        return self.create(request.namespace, request.name, obj)

    def create(self, namespace: str, name: str, obj: Object) -> Object:
        """Fill a TokenRequest for one ServiceAccount. StatusError if it or the bound object does not fit."""
        spec = dict(obj.get("spec") or {})
        seconds = spec.get("expirationSeconds")
        seconds = DEFAULT_EXPIRATION if seconds is None else seconds
        path = "spec.expirationSeconds"
        if seconds < MIN_EXPIRATION:
            _invalid(field.invalid(path, seconds, "may not specify a duration less than 10 minutes"))
        if seconds > MAX_EXPIRATION:
            _invalid(field.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds"))
        account = self._reader.get("serviceaccounts", name, namespace)
        now = int(self._clock.now)
        audiences = spec.get("audiences") or [self.issuer]
        private: Object = {"namespace": namespace, "serviceaccount": _ref(account)}
        if bound := spec.get("boundObjectRef"):
            private.update(self._bind(namespace, name, bound))
        expires = now + seconds
        if seconds == WARN_EXPIRATION and audiences == [self.issuer]:
            private["warnafter"], expires = expires, now + EXTENDED_EXPIRATION
        claims = {
            "aud": audiences,
            "exp": expires,
            "iat": now,
            "iss": self.issuer,
            "jti": self._clock.uid(),
            "kubernetes.io": private,
            "nbf": now,
            "sub": username(namespace, name),
        }
        stamp = datetime.fromtimestamp(now + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {**(obj.get("metadata") or {}), "name": name, "namespace": namespace}
        spec.update(audiences=audiences, expirationSeconds=seconds, boundObjectRef=bound)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": metadata,
            "spec": spec,
            "status": {"token": self.sign(claims), "expirationTimestamp": stamp},
        }

    def _bind(self, namespace: str, account: str, ref: Object) -> Object:
        kind, name, version = ref.get("kind", ""), ref.get("name", ""), ref.get("apiVersion", "")
        if version != "v1" or kind not in ("Pod", "Node", "Secret"):
            group, _, version = version.rpartition("/")
            raise errors.bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        bound = self._reader.get(f"{kind.lower()}s", name, "" if kind == "Node" else namespace)
        uid = bound["metadata"]["uid"]
        claims: Object = {kind.lower(): _ref(bound)}
        if kind == "Pod":
            runs_as = bound["spec"].get("serviceAccountName", "")
            if runs_as != account:
                raise errors.bad_request(
                    f'cannot bind token for serviceaccount "{account}" to pod running with serviceaccount "{runs_as}"'
                )
            if node := bound["spec"].get("nodeName"):
                claims["node"] = {"name": node}
                try:
                    claims["node"] = _ref(self._reader.get("nodes", node))
                except errors.StatusError as error:
                    if not errors.is_not_found(error):
                        raise
        if ref.get("uid") and ref["uid"] != uid:
            raise errors.conflict(
                kind,
                name,
                f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated",
            )
        return claims

    # --- checking -------------------------------------------------------------------------------------------
    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]] | None:
        """The token's user and audiences; None if it is not ours. ValueError says why a token of ours is no good."""
        claims = self._claims(token)
        if claims is None:
            return None
        if claims.get("iss") == LEGACY_ISSUER:
            return self._legacy_user(claims), [self.issuer]
        now = self._clock.now
        if now > claims["exp"] + LEEWAY:
            raise ValueError("service account token has expired")
        if now < claims["nbf"] - LEEWAY:
            raise ValueError("service account token is not valid yet")
        wanted = set(audiences or [self.issuer])
        common = [each for each in claims["aud"] if each in wanted]
        if not common:
            raise ValueError(
                f"token audiences [{' '.join(map(_quote, claims['aud']))}] is invalid for the target audiences "
                f"[{' '.join(map(_quote, sorted(wanted)))}]"
            )
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        self._vouch("serviceaccounts", namespace, account, "service account")
        extra = {CREDENTIAL_ID: [f"JTI={claims['jti']}"]} if "jti" in claims else {}
        for kind in ("pod", "secret", "node"):
            if ref := private.get(kind):
                bound_to_node = kind == "node" and "pod" not in private
                if kind != "node" or bound_to_node:
                    self._vouch(f"{kind}s", "" if kind == "node" else namespace, ref, kind)
                if kind != "secret":
                    extra[f"authentication.kubernetes.io/{kind}-name"] = [ref["name"]]
                    if ref.get("uid"):
                        extra[f"authentication.kubernetes.io/{kind}-uid"] = [ref["uid"]]
        return service_account_user(namespace, account["name"], account["uid"], extra), common

    def _claims(self, token: str) -> Object | None:
        if (claims := self._verified.get(token)) is not None:
            return claims
        import jwt  # noqa: PLC0415 - not needed before somebody shows a token, and slow to import

        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=["ES256"],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except (jwt.PyJWTError, ValueError):
            return None
        if claims.get("iss") not in (self.issuer, LEGACY_ISSUER):
            return None
        if len(self._verified) >= MAX_CACHED:
            self._verified.clear()
        self._verified[token] = claims
        return claims

    def _vouch(self, resource: str, namespace: str, ref: Object, what: str) -> Object:
        """The object that a claim refers to; ValueError unless it is there, the same one, and staying."""
        try:
            obj = self._reader.get(resource, ref["name"], namespace)
        except errors.StatusError as error:
            if what == "service account":
                raise ValueError(error.message) from None
            raise ValueError("service account token has been invalidated") from None
        metadata = obj["metadata"]
        gone = metadata.get("deletionTimestamp")
        if gone and datetime.fromisoformat(gone).timestamp() < self._clock.now - LEEWAY:
            if what == "service account":
                raise ValueError(f"service account {namespace}/{ref['name']} has been deleted")
            raise ValueError("service account token has been invalidated")
        if metadata["uid"] != ref["uid"]:
            claim = "claim" if what == "service account" else f"service account {what} ref claim"
            name = {"service account": "service account", "pod": "pod", "secret": "secret", "node": "node"}[what]
            raise ValueError(f"{name} UID ({metadata['uid']}) does not match {claim} ({ref['uid']})")
        return obj

    def _legacy_user(self, claims: Object) -> User:
        prefix = f"{LEGACY_ISSUER}/"
        namespace, name = claims[f"{prefix}namespace"], claims[f"{prefix}service-account.name"]
        uid = claims[f"{prefix}service-account.uid"]
        secret = claims[f"{prefix}secret.name"]
        try:
            data = self._reader.get("secrets", secret, namespace).get("data") or {}
        except errors.StatusError:
            raise ValueError("service account token has been invalidated") from None
        if not data.get("token"):
            raise ValueError("service account token has been invalidated")
        self._vouch("serviceaccounts", namespace, {"name": name, "uid": uid}, "service account")
        return service_account_user(namespace, name, uid, {})

    # --- discovery ------------------------------------------------------------------------------------------
    def openid_configuration(self) -> Object:
        """What /.well-known/openid-configuration answers."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def jwks(self) -> Object:
        """What /openid/v1/jwks answers: the key that verifies tokens."""
        numbers = self._public.public_numbers()
        point = {axis: _base64(getattr(numbers, axis).to_bytes(32, "big")) for axis in "xy"}
        return {"keys": [{"use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256", **point}]}


def username(namespace: str, name: str) -> str:
    """A ServiceAccount's user name."""
    return f"system:serviceaccount:{namespace}:{name}"


def service_account_user(namespace: str, name: str, uid: str, extra: dict[str, list[str]]) -> User:
    """The user that a ServiceAccount's token stands for (without system:authenticated)."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return User(username(namespace, name), groups, uid, extra)


def _ref(obj: Object) -> Object:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def _invalid(error: Any) -> None:
    raise errors.invalid("TokenRequest.authentication.k8s.io", "", [error])


def _quote(text: str) -> str:
    return f'"{text}"'


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
