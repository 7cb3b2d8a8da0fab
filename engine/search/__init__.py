"""Many runs: sweeps, and searches driven by tuners."""
