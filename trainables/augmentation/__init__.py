"""What happens to the images of a training's batch, on their device: changes of each, and mixtures of two."""
