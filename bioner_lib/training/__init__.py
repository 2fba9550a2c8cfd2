"""The training loop, its checkpoints, its processes and its cost."""
