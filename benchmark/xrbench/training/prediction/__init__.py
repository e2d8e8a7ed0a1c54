"""Outputs of finished networks: scores and saliency maps."""
