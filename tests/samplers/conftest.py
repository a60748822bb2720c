"""What of this folder is not a test: programs that tests start as processes of their own."""

collect_ignore = ["accelerate_program.py", "lightning_program.py"]
