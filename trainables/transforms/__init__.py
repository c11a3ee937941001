"""What happens to images before the network sees them: preprocessing always, augmentation in training."""
