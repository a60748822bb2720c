"""Time and memory of the library's parts, side by side with other libraries and with the floor."""
