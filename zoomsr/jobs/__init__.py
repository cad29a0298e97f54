"""Many runs: processes, sweeps, searches, launchers."""
