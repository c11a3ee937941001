"""How well predictions agree with labels: metrics, calibration, mistakes."""
