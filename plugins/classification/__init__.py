"""Image classification, single- and multi-label, with torchvision networks."""
