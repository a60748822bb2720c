"""The machinery of one training: its step, its clock, its history, its display."""
