"""What can be wrong with kept state, said so that somebody on call knows what to do."""

from schemas.mendable import Mendable


class StateError(Mendable, RuntimeError):
    """State cannot be used as it is. The message names the path, the cause and the way out."""


REBUILD = (
    "To rebuild it: stop oncue, move the whole state directory of the scope away, start again; every cut is "
    "then repeated from the order topic and the input topics, as far back as their retention reaches."
)
MEND = (
    "Try first: oncue state repair --state DIR, which goes back to an older checkpoint where one is whole; "
    "or bring a backup back with oncue restore. " + REBUILD
)
KEPT = (
    "Nothing is lost: make room, or make it writable for the user that runs oncue, then start again with "
    "the same command."
)
_MENDABLE = (
    "No space left", "File too large", "Disk quota exceeded", "Permission denied", "Read-only file system",
    "Too many open files",
)  # fmt: skip


def unusable(what: str, error: Exception) -> StateError:
    """What failed, why, and the way out: the surroundings can be mended, damaged state is made anew."""
    cause = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return StateError(f"{what}: {cause}. {KEPT if any(it in cause for it in _MENDABLE) else MEND}")
