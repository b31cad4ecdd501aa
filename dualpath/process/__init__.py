"""The parts of every daemon: options, logs, locks, process lifetime."""
