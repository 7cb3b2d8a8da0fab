"""Many runs: sweeps, and the searches that tuners drive."""
