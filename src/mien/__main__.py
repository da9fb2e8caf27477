"""``python -m mien`` is ``mien``."""

from mien.cli import main

if __name__ == "__main__":  # the processes of a training import this module again
    main()
