"""`openresponses responses`: what a deployment, or the local cloud, has stored, by the user's own rights."""
