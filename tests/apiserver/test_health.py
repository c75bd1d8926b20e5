"""/livez and its like: what is asked, what is left out, and what is broken."""

import pytest

from k8s_core.apiserver import health
from k8s_core.apiserver.request import Request, parse_query


def ask(path: str, query: str = "", *, etcd_failed: bool = False) -> tuple[int, str]:
    found = health.answer(Request(path=path, query=parse_query(query)), path, etcd_failed=etcd_failed)
    return found.code, (found.body or b"").decode()


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/livez/etcd", "/readyz/informer-sync",
                                  "/livez/poststarthook/rbac/bootstrap-roles"])  # fmt: skip
def test_what_is_well_is_ok(path: str) -> None:
    """Whole or one check at a time."""
    assert ask(path) == (200, "ok")


def test_every_check_has_a_line() -> None:
    """With ?verbose; what is excluded is said to be, and what cannot be, too."""
    code, text = ask("/readyz", "verbose&exclude=etcd&exclude=nothing")
    lines = text.splitlines()
    assert code == 200 and "[+]poststarthook/crd-informer-synced ok" in lines and "[+]shutdown ok" in lines
    assert "[+]etcd excluded: ok" in lines and lines[-1] == "readyz check passed"
    assert lines[-2] == 'warn: some health checks cannot be excluded: no matches for "nothing"'


def test_without_etcd_it_fails() -> None:
    """The reason is withheld; a check that is left out cannot fail the whole."""
    code, text = ask("/livez", etcd_failed=True)
    assert code == 500 and "[-]etcd failed: reason withheld" in text and text.endswith("livez check failed\n")
    assert ask("/livez", "exclude=etcd", etcd_failed=True) == (200, "ok")
    assert ask("/livez/ping", etcd_failed=True) == (200, "ok")
    assert ask("/livez/nothing")[0] == 404
