"""What `quorate cluster recover` does to a directory."""
