"""What lies in a registered version, below its folder `artifacts/`."""

CLASSIFIER = "classifier"
"""Folder with the weights, and how they are used."""
EVIDENCE = "evidence"
"""Folder with what it said of each image of the test split."""
MODEL_CARD_FILE = "model_card.md"
PROGRAM_FILE = "program.pt2"
"""Of `torch.export`; there is none where the architecture does not export."""
