"""`openresponses logs`: what the functions of a deployment, or of the local cloud, print."""
