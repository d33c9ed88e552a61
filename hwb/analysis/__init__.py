"""What can be told from a project's files alone? Nothing in this package runs or imports any of the project's code."""
