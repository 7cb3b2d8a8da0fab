"""Training of one model: trainer, sampler, optimizer, ranks."""
