"""Ready studies, one study file each."""
