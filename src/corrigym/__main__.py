"""`python -m corrigym` and the `corrigym` command."""

import sys


def main() -> int:
    from corrigym.cli.main import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
