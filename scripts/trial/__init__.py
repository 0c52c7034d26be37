"""Tries the deployment: docs/deployment.md on an empty Debian, and the image without a container engine."""
