"""What a person on call sees of a run: metrics, traces, health, log lines."""
