"""What every daemon needs: options, logs, locks, process lifetime."""
