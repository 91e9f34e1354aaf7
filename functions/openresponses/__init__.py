"""A serverless Open Responses server: one package, the code of every Lambda function."""
