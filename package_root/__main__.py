"""``python -m sightsmith``; also the module that ``accelerate launch -m sightsmith`` starts."""

from sightsmith.cli import main

if __name__ == "__main__":
    main()
