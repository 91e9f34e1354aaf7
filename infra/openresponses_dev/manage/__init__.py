"""A deployment's configuration from the command line: providers, aliases of models, clients' keys, and a doctor.

It works on AWS and on the local cloud alike, through the same calls, on the operator's machine and never in Lambda.
"""
