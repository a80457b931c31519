"""Turns a job folder into styled frames with an image diffusion model, without training."""

__version__ = "0.1.0"
