"""The storage ports: in memory, and on DynamoDB, S3 and Step Functions."""
