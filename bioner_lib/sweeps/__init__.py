"""Many runs: a YAML file -> executed notebooks."""
