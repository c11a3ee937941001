"""What the commands print: tables for a person, JSON for a program."""
