"""The hand benchmark: this package side by side with the solvers that a user would pick instead."""
