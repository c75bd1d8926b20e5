"""Who asks: client certificates, bearer tokens, anonymous requests and impersonation.

The order is kube-apiserver's: a certificate first, then a token (static file, ServiceAccount, bootstrap), then
anonymous; a token that nobody knows is 401, however harmless the request. Every known user joins
system:authenticated. Impersonation (`kubectl --as`) is authorized with the verb "impersonate".
Left out: OIDC, webhooks, the aggregator's front proxy, and constrained impersonation's new verbs.
"""

import base64
import binascii
import csv
import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8s_core.api import errors
from k8s_core.apiserver.authorization import Authorizer, aggregate
from k8s_core.apiserver.reader import Reader
from k8s_core.apiserver.request import ANONYMOUS, Request, User
from k8s_core.apiserver.tokens import CREDENTIAL_ID, Tokens

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
BOOTSTRAP_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."
INVALID_TOKEN = "invalid bearer token"
MAX_CERTIFICATES = 1000

logger = logging.getLogger(__name__)


class Authenticator:
    """Finds the user of a request from the wire.

    `now` is virtual time in seconds; `static` maps tokens to users (see `read_token_file`).
    """

    def __init__(
        self,
        now: Callable[[], float],
        client_cas: Sequence[x509.Certificate],
        tokens: Tokens,
        authorizer: Authorizer,
        reader: Reader,
        *,
        static: Mapping[str, User] | None = None,
        anonymous: bool = True,
    ) -> None:
        self._now, self.client_cas, self._tokens, self._authorizer, self._reader = (
            now,
            client_cas,
            tokens,
            authorizer,
            reader,
        )
        self.static = dict(static or {})
        self.anonymous = anonymous
        self._certificates: dict[bytes, tuple[User | None, float, float]] = {}

    def authenticate(self, request: Request) -> User:
        """The user to serve this request as; 401 if its credentials are no good, 403 if it may not impersonate."""
        user = self.login(request)
        asked = _impersonation(request.headers)
        if not asked:
            return user
        request.user = request.impersonator = user
        return self._impersonate(user, asked)

    def login(self, request: Request) -> User:
        """Whose credentials the request carries, impersonation aside. StatusError 401."""
        if request.peer_certificate:
            user = self._certificate_user(request.peer_certificate)
            if user:
                return user
        if token := _bearer_token(request.headers):
            user, problems = self.check_token(token)
            if user:
                return user
            logger.info("Unable to authenticate the request: %s", aggregate(problems))
            raise errors.unauthorized()
        if request.peer_certificate or not self.anonymous:
            raise errors.unauthorized()
        return ANONYMOUS

    def check_token(self, token: str, audiences: Sequence[str] = ()) -> tuple[User | None, list[str]]:
        """(user, its token's audiences), or (None, why it is no good). TokenReview asks with audiences."""
        if (static := self.static.get(token)) is not None:
            wanted = [each for each in audiences or [self._tokens.issuer] if each == self._tokens.issuer]
            return (_authenticated(static), wanted) if wanted else (None, [INVALID_TOKEN])
        try:
            if found := self._tokens.authenticate(token, audiences):
                return _authenticated(found[0]), found[1]
        except ValueError as error:
            return None, [INVALID_TOKEN, str(error)]
        if (match := BOOTSTRAP_TOKEN.fullmatch(token)) and (user := self._bootstrap_user(match[1], match[2])):
            return _authenticated(user), [self._tokens.issuer]
        return None, [INVALID_TOKEN]

    # --- certificates ---------------------------------------------------------------------------------------
    def _certificate_user(self, der: bytes) -> User | None:
        """The certificate's user; None if it names nobody or was not issued for this cluster's clients."""
        known = self._certificates.get(der)
        if known is None:
            if len(self._certificates) >= MAX_CERTIFICATES:
                self._certificates.clear()
            known = self._certificates[der] = self._read_certificate(der)
        user, not_before, not_after = known
        return user if not_before <= self._now() <= not_after else None

    def _read_certificate(self, der: bytes) -> tuple[User | None, float, float]:
        try:
            certificate = x509.load_der_x509_certificate(der)
            if not _for_clients(certificate) or not any(_issued(certificate, ca) for ca in self.client_cas):
                return None, 0, 0
        except ValueError:
            return None, 0, 0
        names, groups = (
            [str(each.value) for each in certificate.subject.get_attributes_for_oid(oid)]
            for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        )
        if not names:
            return None, 0, 0
        extra = {CREDENTIAL_ID: [f"X509SHA256={hashlib.sha256(der).hexdigest()}"]}
        user = _authenticated(User(names[-1], tuple(groups), "", extra))
        return user, certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()

    # --- bootstrap tokens (`kubeadm join`) --------------------------------------------------------------------
    def _bootstrap_user(self, token_id: str, secret: str) -> User | None:
        try:
            stored = self._reader.get("secrets", f"bootstrap-token-{token_id}", "kube-system")
        except errors.StatusError:
            return None
        data = {key: _decoded(value) for key, value in (stored.get("data") or {}).items()}
        good = stored.get("type") == "bootstrap.kubernetes.io/token" and data.get("token-id") == token_id
        if not good or data.get("token-secret") != secret or data.get("usage-bootstrap-authentication") != "true":
            return None
        if expiration := data.get("expiration"):
            try:
                expires = datetime.fromisoformat(expiration).timestamp()
            except ValueError:
                return None
            if expires < self._now():
                return None
        extra_groups = tuple(each for each in data.get("auth-extra-groups", "").split(",") if each)
        return User(f"system:bootstrap:{token_id}", ("system:bootstrappers", *extra_groups))

    # --- impersonation --------------------------------------------------------------------------------------
    def _impersonate(self, requestor: User, asked: "list[Impersonation]") -> User:
        name, uid = "", ""
        groups: list[str] = []
        extra: dict[str, list[str]] = {}
        own_groups = any(each.resource == "groups" for each in asked)
        for each in asked:
            match each.resource:
                case "serviceaccounts":
                    name = f"system:serviceaccount:{each.namespace}:{each.name}"
                    if not own_groups:
                        groups = ["system:serviceaccounts", f"system:serviceaccounts:{each.namespace}"]
                case "users":
                    name = each.name
                case "groups":
                    groups.append(each.name)
                case "userextras":
                    extra.setdefault(each.subresource, []).append(each.name)
                case "uids":
                    uid = each.name
            where = (each.group, each.resource, each.subresource, each.namespace, each.name)
            self._authorizer.check(requestor, "impersonate", *where)
        if name == ANONYMOUS.name:
            groups += [] if UNAUTHENTICATED in groups else [UNAUTHENTICATED]
        elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
            groups.append(AUTHENTICATED)
        return User(name, tuple(groups), uid, extra)


class Impersonation(NamedTuple):
    """One thing that a request wants to be: what `impersonate` is authorized on."""

    group: str
    resource: str
    namespace: str
    name: str
    subresource: str = ""

    def go(self) -> str:
        """As Go prints the ObjectReference that upstream uses here."""
        kinds = {"users": "User", "groups": "Group", "serviceaccounts": "ServiceAccount"}
        kind = kinds.get(self.resource) or {"userextras": "UserExtra", "uids": "UID"}[self.resource]
        version = f"{self.group}/v1" if self.group else ""
        return f"{{{kind} {self.namespace} {self.name}  {version}  {self.subresource}}}"


def _impersonation(headers: Mapping[str, str]) -> list[Impersonation]:
    """What the Impersonate-* headers ask for; a header that came several times has its values on lines."""
    prefix = "impersonate-"
    if not any(name.startswith(prefix) for name in headers):
        return []
    asked: list[Impersonation] = []
    authentication = "authentication.k8s.io"
    if user := headers.get(f"{prefix}user", ""):
        parts = user.split(":")
        if len(parts) == 4 and user.startswith("system:serviceaccount:") and parts[2] and parts[3]:
            asked.append(Impersonation("", "serviceaccounts", parts[2], parts[3]))
        else:
            asked.append(Impersonation("", "users", "", user))
    for group in _lines(headers.get(f"{prefix}group")):
        asked.append(Impersonation("", "groups", "", group))
    for name, value in headers.items():
        if name.startswith(f"{prefix}extra-"):
            key = unquote(name.removeprefix(f"{prefix}extra-"))
            asked += [Impersonation(authentication, "userextras", "", each, key) for each in _lines(value)]
    if uid := headers.get(f"{prefix}uid", ""):
        asked.append(Impersonation(authentication, "uids", "", uid))
    if asked and not user:
        listed = " ".join(each.go() for each in asked)
        raise errors.bad_request(f"requested [{listed}] without impersonating a user")
    return asked


def _lines(value: str | None) -> Iterator[str]:
    if value is not None:
        yield from value.split("\n")


def _authenticated(user: User) -> User:
    if AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups or user.name == ANONYMOUS.name:
        return user
    return User(user.name, (*user.groups, AUTHENTICATED), user.uid, user.extra)


def _for_clients(certificate: x509.Certificate) -> bool:
    """Whether it may be a client's; one that does not say what it is for, such as openssl makes, is good for all."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _issued(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _bearer_token(headers: Mapping[str, str]) -> str:
    parts = headers.get("authorization", "").strip().split(" ", 2)
    if len(parts) >= 2 and parts[0].lower() == "bearer" and parts[1]:
        return parts[1]
    # Browsers cannot set headers on WebSockets: the token may come as a subprotocol.
    for protocol in headers.get("sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith(WEBSOCKET_TOKEN):
            encoded = protocol.strip().removeprefix(WEBSOCKET_TOKEN)
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (ValueError, binascii.Error):
                return ""
    return ""


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return ""


def read_token_file(path: Path) -> dict[str, User]:
    """Read kube-apiserver's `--token-auth-file`: token, user, uid, "group1,group2". ValueError if malformed."""
    users: dict[str, User] = {}
    with path.open(newline="", encoding="utf-8") as file:
        try:
            records = [record for record in csv.reader(file, strict=True) if record]
        except csv.Error as error:
            raise ValueError(f"token file '{path}': {error}") from None
    for number, record in enumerate(records, 1):
        if len(record) < 3:
            raise ValueError(
                f"token file '{path}' must have at least 3 columns (token, user name, user uid), found {len(record)}"
            )
        token, name, uid = record[:3]
        if not token:
            logger.warning("empty token has been found in token file '%s', record number '%d'", path, number)
            continue
        if token in users:
            logger.warning("duplicate token has been found in token file '%s', record number '%d'", path, number)
        users[token] = User(name, tuple(record[3].split(",")) if len(record) > 3 else (), uid)
    return users
