"""Where the points of one frame lie in another, at the size of latents and of pictures."""
