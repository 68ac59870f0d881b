"""Faults, fuzz and soak: a controller in a process of its own, a simulated hand, and an observer that judges every command."""
