"""One training: trainer, sampler, optimizer, ranks."""
