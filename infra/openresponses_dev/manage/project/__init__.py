"""What a project's file says of a deployment, and how the deployment is brought to that."""
