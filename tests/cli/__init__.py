"""The command line: arguments, output, errors, and `quorate dev`'s supervision."""
