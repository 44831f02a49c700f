"""The image, without a container runtime: the Dockerfile's own steps, in a throw-away root."""
