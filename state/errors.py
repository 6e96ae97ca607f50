"""What can be wrong with kept state, said so that somebody on call knows what to do."""


class StateError(RuntimeError):
    """State cannot be used as it is. The message names the path, the cause and the way out."""


REBUILD = (
    "To rebuild it: stop oncue, move the directory away, start again; every cut is then repeated from "
    "the order topic and the input topics, as far back as their retention reaches."
)
