"""`python -m k8s_core serve`, a cluster on its own, or `python -m k8s_core etcd`, an etcd on its own."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two until SIGTERM. Each loads only what it needs: an etcd has to be there at once."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["etcd"]:
        from k8s_core.etcd.main import main as run  # noqa: PLC0415

        return run(given[1:])
    from k8s_core.serve import main as serve  # noqa: PLC0415

    return serve(given)


if __name__ == "__main__":
    sys.exit(main())
