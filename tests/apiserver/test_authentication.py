"""k8s_core.apiserver.authentication, tokens and reviews: who asks, and what it may know about itself."""

from pathlib import Path
from typing import NamedTuple

import jwt
import pytest
from auth_fixtures import NOW, Clock, Store, named
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from k8s_core.api import Object, errors
from k8s_core.apiserver.audit import AuditLog
from k8s_core.apiserver.authentication import Authenticator, read_token_file
from k8s_core.apiserver.authorization import RBAC_GROUP, Authorizer
from k8s_core.apiserver.request import Request, User
from k8s_core.apiserver.reviews import Reviews
from k8s_core.apiserver.tokens import ISSUER, Tokens
from k8s_core.pki import PKI

CA = PKI(0)


class Parts(NamedTuple):
    store: Store
    clock: Clock
    tokens: Tokens
    authenticator: Authenticator
    reviews: Reviews


@pytest.fixture
def parts() -> Parts:
    store, clock = Store(), Clock()
    store.put("serviceaccounts", named("bot", "default"))
    store.put("nodes", named("worker1"))
    store.put("pods", named("web", "default", spec={"serviceAccountName": "bot", "nodeName": "worker1"}))
    authorizer = Authorizer(store)
    tokens = Tokens(clock, CA.service_account_key, store)
    static = {"secret": User("carol", ("devs",), "7")}
    authenticator = Authenticator(lambda: clock.now, [CA.ca.certificate], tokens, authorizer, store, static=static)
    return Parts(store, clock, tokens, authenticator, Reviews(authenticator, authorizer))


def bearer(token: str, **headers: str) -> Request:
    return Request(headers={"authorization": f"Bearer {token}", **headers})


def refused(parts: Parts, request: Request) -> errors.StatusError:
    with pytest.raises(errors.StatusError) as caught:
        parts.authenticator.authenticate(request)
    return caught.value


def token_for(parts: Parts, **spec: object) -> str:
    made: str = parts.tokens.create("default", "bot", {"spec": spec})["status"]["token"]
    return made


def test_client_certificate(parts: Parts) -> None:
    """CN is the user, O the groups; the credential's fingerprint is kept."""
    der = CA.client("jane", ("devs", "ops")).der
    user = parts.authenticator.authenticate(Request(peer_certificate=der))
    assert (user.name, user.groups) == ("jane", ("devs", "ops", "system:authenticated"))
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


def test_a_certificate_that_says_not_what_it_is_for(parts: Parts) -> None:
    """Without an extended key usage, as `openssl x509 -req` makes it, a certificate is good for a client, too."""
    told = x509.load_der_x509_certificate(CA.client("jane").der)
    bare = x509.CertificateBuilder().subject_name(told.subject).issuer_name(told.issuer).serial_number(7)
    bare = bare.not_valid_before(told.not_valid_before_utc).not_valid_after(told.not_valid_after_utc)
    made = bare.public_key(told.public_key()).sign(CA.ca.key, hashes.SHA256())
    user = parts.authenticator.authenticate(Request(peer_certificate=made.public_bytes(Encoding.DER)))
    assert user.name == "jane"


def test_bad_certificates(parts: Parts) -> None:
    """A certificate of another CA, one for serving, and bytes that are none are Unauthorized."""
    for der in (PKI(1).client("jane").der, CA.pair("apiserver").der, b"nonsense"):
        error = refused(parts, Request(peer_certificate=der))
        assert (error.code, error.message) == (401, "Unauthorized")


def test_tokens_and_anonymous(parts: Parts) -> None:
    """A token of the file gives its user; an unknown one is Unauthorized; none at all is anonymous."""
    user = parts.authenticator.authenticate(bearer("secret"))
    assert user == User("carol", ("devs", "system:authenticated"), "7")
    assert refused(parts, bearer("wrong")).code == 401
    assert parts.authenticator.authenticate(Request()).name == "system:anonymous"


def test_token_file(tmp_path: Path) -> None:
    """The file is kube-apiserver's CSV; a short line is an error with its words."""
    file = tmp_path / "tokens.csv"
    file.write_text('t1,ann,1\nt2,bob,2,"a,b"\n,nobody,3\n')
    assert read_token_file(file) == {"t1": User("ann", (), "1"), "t2": User("bob", ("a", "b"), "2")}
    file.write_text("t1,ann\n")
    with pytest.raises(ValueError, match=r"must have at least 3 columns \(token, user name, user uid\), found 2"):
        read_token_file(file)


def test_service_account_token(parts: Parts) -> None:
    """A bound token is a JWT of the cluster's issuer and gives the account, its groups and its Pod."""
    token = token_for(parts, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "web"})
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == ISSUER
    assert claims["aud"] == [ISSUER]
    assert claims["exp"] == NOW + 3600
    assert claims["kubernetes.io"]["node"] == {"name": "worker1", "uid": "uid-of-worker1"}
    user = parts.authenticator.authenticate(bearer(token))
    assert user.name == "system:serviceaccount:default:bot"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    assert user.extra["authentication.kubernetes.io/pod-name"] == ["web"]


def test_token_dies_with_time_and_objects(parts: Parts) -> None:
    """A token ends at its time, with its Pod and with its ServiceAccount, also one of the same name."""
    token = token_for(parts, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "web"})
    plain = token_for(parts)
    parts.store.put(
        "pods", {**named("web", "default"), "metadata": {"name": "web", "namespace": "default", "uid": "2"}}
    )
    assert refused(parts, bearer(token)).code == 401
    assert parts.authenticator.authenticate(bearer(plain)).name.endswith(":bot")
    parts.clock.now += 3700
    assert refused(parts, bearer(plain)).code == 401
    parts.clock.now -= 3700
    parts.store.remove("serviceaccounts", "bot", "default")
    assert refused(parts, bearer(plain)).code == 401


def test_forged_token(parts: Parts) -> None:
    """A token signed with another key is Unauthorized."""
    other = Tokens(parts.clock, PKI(1).service_account_key, parts.store)
    token = other.create("default", "bot", {"spec": {}})["status"]["token"]
    assert refused(parts, bearer(token)).code == 401


def test_token_request_errors(parts: Parts) -> None:
    """A token may not be shorter than ten minutes, nor bound to a Pod of another account."""
    with pytest.raises(errors.StatusError, match="may not specify a duration less than 10 minutes") as caught:
        token_for(parts, expirationSeconds=60)
    assert caught.value.code == 422
    parts.store.put("serviceaccounts", named("other", "default"))
    with pytest.raises(errors.StatusError, match='to pod running with serviceaccount "bot"'):
        ref = {"kind": "Pod", "apiVersion": "v1", "name": "web"}
        parts.tokens.create("default", "other", {"spec": {"boundObjectRef": ref}})


def impersonate(parts: Parts, **headers: str) -> User:
    return parts.authenticator.authenticate(bearer("secret", **{f"impersonate-{k}": v for k, v in headers.items()}))


def test_the_audit_log_keeps_both_names(parts: Parts) -> None:
    """Of a request with `--as`: who asked, and as whom; where that was refused, only who asked."""
    log = AuditLog()
    request = bearer("secret", **{"impersonate-user": "jane"})
    with pytest.raises(errors.StatusError):
        parts.authenticator.authenticate(request)
    log.add(request, "now", 403)
    request.user = User("jane", ())
    log.add(request, "now", 200)
    refused_, served = log.since()
    assert refused_["user"]["username"] == served["user"]["username"] == "carol"
    assert "impersonatedUser" not in refused_ and served["impersonatedUser"]["username"] == "jane"


def test_impersonation(parts: Parts) -> None:
    """`--as` needs the verb impersonate; a ServiceAccount comes with its groups."""
    with pytest.raises(errors.StatusError) as caught:
        impersonate(parts, user="jane")
    assert caught.value.message == (
        'users "jane" is forbidden: User "carol" cannot impersonate resource "users" in API group "" '
        "at the cluster scope"
    )
    ref = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": "cluster-admin"}
    subjects = [{"kind": "Group", "name": "devs"}]
    parts.store.put(f"clusterrolebindings.{RBAC_GROUP}", named("devs", roleRef=ref, subjects=subjects))
    fresh = Authenticator(
        lambda: NOW,
        [CA.ca.certificate],
        parts.tokens,
        Authorizer(parts.store),
        parts.store,
        static=parts.authenticator.static,
    )
    parts = parts._replace(authenticator=fresh)
    assert impersonate(parts, user="jane", group="a\nb").groups == ("a", "b", "system:authenticated")
    account = impersonate(parts, user="system:serviceaccount:default:bot")
    assert account.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    assert impersonate(parts, user="system:anonymous").groups == ("system:unauthenticated",)
    with pytest.raises(errors.StatusError, match=r"requested \[\{Group  a    \}\] without impersonating a user"):
        impersonate(parts, group="a")


def review(parts: Parts, kind: str, spec: Object, user: User, namespace: str = "") -> Object:
    request = Request(user=user, namespace=namespace)
    status: Object = parts.reviews.answer[kind](request, {"kind": kind, "spec": spec})["status"]
    return status


def test_access_reviews(parts: Parts) -> None:
    """can-i answers for oneself and for others; a review of nothing is invalid."""
    attributes = {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}
    alice = User("alice", ("system:authenticated",))
    assert review(parts, "SelfSubjectAccessReview", attributes, alice) == {"allowed": False}
    masters = {**attributes, "user": "x", "groups": ["system:masters"]}
    assert review(parts, "SubjectAccessReview", masters, alice) == {"allowed": True}
    path = {"nonResourceAttributes": {"verb": "get", "path": "/healthz"}}
    assert "system:discovery" in review(parts, "SelfSubjectAccessReview", path, alice)["reason"]
    with pytest.raises(errors.StatusError, match="exactly one of nonResourceAttributes or resourceAttributes"):
        review(parts, "SelfSubjectAccessReview", {}, alice)


def test_rules_review(parts: Parts) -> None:
    """can-i --list shows a superuser's rules first, as a real cluster does."""
    status = review(parts, "SelfSubjectRulesReview", {"namespace": "default"}, User("a", ("system:masters",)))
    assert status["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    assert status["nonResourceRules"] == [{"verbs": ["*"], "nonResourceURLs": ["*"]}]


def test_self_and_token_review(parts: Parts) -> None:
    """whoami tells the user; TokenReview checks somebody else's token and says why it is bad."""
    info = review(parts, "SelfSubjectReview", {}, User("admin", ("system:masters",)))
    assert info == {"userInfo": {"username": "admin", "groups": ["system:masters"]}}
    token = token_for(parts)
    good = review(parts, "TokenReview", {"token": token}, User("x"))
    assert (good["authenticated"], good["audiences"]) == (True, [ISSUER])
    parts.clock.now += 9999
    bad = review(parts, "TokenReview", {"token": token}, User("x"))
    assert bad == {"user": {}, "error": "[invalid bearer token, service account token has expired]"}


def test_bootstrap_token(parts: Parts) -> None:
    """A bootstrap token's Secret in kube-system lets a new node in, until it expires."""
    encoded = {
        "token-id": "YWJjZGVm",
        "token-secret": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "usage-bootstrap-authentication": "dHJ1ZQ==",
    }
    secret = named("bootstrap-token-abcdef", "kube-system", type="bootstrap.kubernetes.io/token", data=encoded)
    parts.store.put("secrets", secret)
    user = parts.authenticator.authenticate(bearer("abcdef.0123456789abcdef"))
    assert user.name == "system:bootstrap:abcdef"
    assert refused(parts, bearer("abcdef.0123456789abcdee")).code == 401
