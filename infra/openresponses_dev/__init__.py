"""What `openresponses` runs on a laptop: the command line, the local cloud, and what manages a deployment."""
