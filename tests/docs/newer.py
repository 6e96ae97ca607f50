"""`oncue` of a version to come, whose state has the next format.

python -m tests.docs.newer run --config ...
"""

from flows import cli
from state import directory, migrations


def main() -> None:
    migrations.UPGRADES = {**migrations.UPGRADES, migrations.FORMAT: lambda database: None}
    migrations.FORMAT = directory.FORMAT = migrations.FORMAT + 1
    cli.main()


if __name__ == "__main__":
    main()
