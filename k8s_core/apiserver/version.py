"""What /version says: the release that this cluster plays."""

from k8s_core.api import Object

DEFAULT = "1.36"

# Minor version -> gitVersion, gitCommit, buildDate, goVersion of one release of it.
RELEASES: dict[str, tuple[str, str, str, str]] = {
    "1.30": ("v1.30.1", "6911225c3f747e1cd9d109c305436d08b668f086", "2024-05-14T10:42:02Z", "go1.22.2"),
    "1.36": ("v1.36.2", "0000000000000000000000000000000000000000", "2026-06-16T12:00:00Z", "go1.26.3"),
}


def git_version(minor: str = DEFAULT) -> str:
    """ "v1.36.2" for "1.36"; a release that is not in the table is its first patch."""
    return RELEASES[minor][0] if minor in RELEASES else f"v{minor}.0"


def info(minor: str = DEFAULT) -> Object:
    """The body of GET /version."""
    version, commit, date, go = RELEASES.get(minor, (f"v{minor}.0", "0" * 40, "2025-01-01T00:00:00Z", "go1.24.0"))
    major, number = minor.split(".")
    found: Object = {"major": major, "minor": number}
    if int(number) >= 33:  # compatibility versions are shown since then
        found |= {
            "emulationMajor": major,
            "emulationMinor": number,
            "minCompatibilityMajor": major,
            "minCompatibilityMinor": str(int(number) - 1),
        }
    return found | {
        "gitVersion": version,
        "gitCommit": commit,
        "gitTreeState": "clean",
        "buildDate": date,
        "goVersion": go,
        "compiler": "gc",
        "platform": "linux/amd64",
    }
