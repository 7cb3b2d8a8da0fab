"""``python -m sightsmith``, also for ``accelerate launch -m sightsmith``."""

from sightsmith.cli import main

if __name__ == "__main__":
    main()
