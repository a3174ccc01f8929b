"""CodeBuild: builds that really run, on this host, phase by phase."""
