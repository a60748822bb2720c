"""Sets that come by themselves: faces and characters."""
