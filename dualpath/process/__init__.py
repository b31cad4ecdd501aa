"""What every program needs: its options, logs, locks, and how long it lives."""
