"""The playbooks that ship with oncue."""

from importlib import resources


def retail() -> str:
    """The text of the retail playbook."""
    return resources.files(__name__).joinpath("retail.yaml").read_text()
