"""Composition roots, one for each Lambda function: the only code that reads the environment."""
