"""What goes wrong and can be put right by whoever started the program."""


class Mendable(Exception):
    """The message says what is wrong, where, and what to do. It is told without a traceback."""
