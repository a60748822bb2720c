"""Faces from end to end: photographs, aligned crops, a network, a threshold and a page."""
